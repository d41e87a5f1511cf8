"""A store that nobody answers for, and two trackings at once."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from stores import collected

from trapmid.tracking.track import _locked, track

# MLflow 3 and SQLAlchemy 2.1 disagree about names that both will drop; nothing of ours is meant.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pydantic"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # its engine keeps the file open
]


def test_nobody_answers(place, tmp_path, monkeypatch, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    _expect_a_quick_warning(place, tmp_path, capsys)


def test_a_server_that_never_answers(place, tmp_path, monkeypatch, capsys):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        _expect_a_quick_warning(place, tmp_path, capsys)


def test_a_broken_store(place, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}/mlruns")  # MLflow 3 refuses it
    _expect_a_quick_warning(place, tmp_path, capsys, seconds=20)


def _expect_a_quick_warning(place, home, capsys, seconds=8):
    study = collected(place)
    start = time.monotonic()
    assert track(study, home) is None
    assert time.monotonic() - start < seconds
    out = capsys.readouterr().out
    assert out.startswith("track: warning: ")
    assert out.count("\n") == 1


def test_the_lock_lets_one_in_at_a_time(tmp_path):
    order = []

    def second():
        with _locked(tmp_path):
            order.append("second")

    with _locked(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
