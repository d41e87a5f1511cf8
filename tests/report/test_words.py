"""Numbers as the report writes them, against what one would write by hand."""

from __future__ import annotations

import statistics

import pytest

from trapmid.report import words


@pytest.mark.parametrize(
    ("shown", "value", "text"),
    [
        (words.rate, 0.12345, "12.35"),
        (words.rate, None, "–"),
        (words.percent, 0.05, "5.00 %"),
        (words.percent, None, "–"),
        (words.plain, 0.00041, "0.00041"),
        (words.plain, 0.0, "0.00"),
        (words.plain, -12.345, "-12.35"),
        (words.plain, None, "–"),
        (words.seconds, 20.04, "20.0"),
        (words.seconds, None, "–"),
        (words.whole, 40000, "40,000"),
        (words.whole, 2.5, "2.5"),
        (words.whole, None, "–"),
        (words.listed, 0.9880952380952381, "0.9881"),
        (words.shortened, "0.9880952380952381 of 168, least 0.95", "0.9881 of 168, least 0.95"),
        (words.shortened, "version 1.2.3, 0.0001", "version 1.2.3, 0.0001"),
        (words.listed, {"a": [1, 2000], "b": "x"}, "a 1, 2,000, b x"),
    ],
)
def test_a_number_is_written(shown, value, text):
    assert shown(value) == text


def test_a_spread_has_both_deviations():
    values = [0.2, 0.4, 0.9]
    mean, population, sample = (
        100 * measure(values) for measure in (statistics.mean, statistics.pstdev, statistics.stdev)
    )
    assert words.spread(values, words.rate) == f"{mean:.2f} ± {population:.2f} (s {sample:.2f})"


def test_a_spread_says_how_many_have_a_number():
    assert words.spread([0.5, None], words.rate) == "50.00 (1 of 2)"
    assert words.spread([1.0, 3.0, None], words.plain) == "2.00 ± 1.00 (s 1.41; 2 of 3)"
    assert words.spread([0.5], words.rate) == "50.00"
    assert words.spread([None, None], words.plain) == "–"
    assert words.mean([None]) is None and words.mean([1.0, None, 2.0]) == 1.5
