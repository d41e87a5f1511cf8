"""Deviations against numbers worked out by hand."""

from __future__ import annotations

import pytest

from trapmid.report import averages


def test_deviations_by_hand():
    assert averages.deviation([2.0, 4.0, 9.0]) == pytest.approx(((26 / 3) ** 0.5, 13**0.5))
    assert averages.deviation([]) == (None, None)
