"""Deviations against numbers worked out by hand."""

from __future__ import annotations

import pytest

from trapmid.report import averages


def test_deviations_by_hand():
    assert averages.deviation([2.0, 4.0, 9.0]) == pytest.approx(((26 / 3) ** 0.5, 13**0.5))
    assert averages.deviation([]) == (None, None)


def test_means_by_hand():
    """A count stays a whole number where its mean is one; what is missing counts for nothing."""
    assert averages.mean_of([1, 2]) == 1.5
    assert isinstance(averages.mean_of([1, 3]), int)
    assert isinstance(averages.mean_of([1.0, 3.0]), float)
    assert averages.mean_of([0.2, None, 0.5]) == 0.35
    assert averages.mean_of([None]) is None
    assert averages.mean_of([1, 1, 2]) == 1.333333
