"""Waiting, bounded as a whole."""

from __future__ import annotations

import threading
import time

import pytest

from trapmid.tracking import patience
from trapmid.tracking.patience import Patient, within


def test_the_result_and_the_error_are_the_works():
    assert within(5, lambda: 7) == 7
    with pytest.raises(KeyError):
        within(5, lambda: {}["missing"])

    def late():
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        within(5, late)


def test_work_that_takes_too_long_is_left():
    end = threading.Event()
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match="no whole answer in 0 s"):
        within(0.1, end.wait)
    assert time.monotonic() - begun < 5
    end.set()


class _Slow:
    def wait(self, seconds, *, answer):
        time.sleep(seconds)
        return answer


def test_quick_calls_cost_nothing_and_slow_ones_add_up(monkeypatch):
    monkeypatch.setattr(patience, "_EASY_SECONDS", 0.05)
    monkeypatch.setattr(patience, "SECONDS", 0.6)
    patient = Patient(_Slow())
    for number in range(20):
        assert patient.wait(0, answer=number) == number
    assert _calls_until_it_ends(patient) <= 3


def _calls_until_it_ends(patient):
    for calls in range(10):
        try:
            patient.wait(0.25, answer=None)  # 0.2 s of waiting
        except TimeoutError:
            return calls
    raise AssertionError("it waits for ever")
