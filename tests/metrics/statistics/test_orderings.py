"""Rank agreement against SciPy, enumeration and a simulation of its interval."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from trapmid.metrics.statistics import orderings


@pytest.mark.parametrize("n", [2, 3, 5, 8, 9, 30])
def test_without_ties_it_is_scipys(n):
    draw = np.random.default_rng(n)
    x, y = draw.permutation(n), draw.permutation(n)
    found, theirs = orderings.agreement(x, y), stats.kendalltau(x, y)
    assert (found.tau, found.p) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert found.n == n


def test_three_ranks_in_order_are_no_proof():
    """Spearman's p is 0 there; one of six orders is this one, and one its reverse."""
    assert orderings.agreement([1, 2, 3], [0.2, 0.5, 0.9]).p == pytest.approx(1 / 3)


def test_ties_are_counted_exactly():
    x, y = [1, 2, 2, 3, 4], [1, 1, 2, 4, 3]

    def concordance(other) -> float:
        pairs = itertools.combinations(range(5), 2)
        return sum(np.sign(x[i] - x[j]) * np.sign(other[i] - other[j]) for i, j in pairs)

    every = [abs(concordance(order)) for order in itertools.permutations(y)]
    found = orderings.agreement(x, y)
    assert found.p == pytest.approx(np.mean(np.array(every) >= abs(concordance(y))))
    assert found.tau == pytest.approx(concordance(y) / 9)  # 10 pairs, one tied on each side


def test_an_opposite_order_is_minus_1():
    found = orderings.agreement([1, 2, 3, 4], [4, 3, 2, 1])
    assert (found.tau, found.low, found.high) == (-1, None, None)
    assert found.p == pytest.approx(2 / 24)
    found = orderings.agreement(range(9), range(9, 0, -1))  # long enough for an interval
    assert (found.tau, found.low, found.high) == (-1, None, None)


def test_five_items_have_fishers_interval_and_four_have_none():
    """Two of ten pairs are swapped: tau is 0.6, z is 0.693 and its deviation 0.661."""
    found = orderings.agreement([1, 2, 3, 4, 5], [2, 1, 4, 3, 5])
    assert found.tau == pytest.approx(0.6)
    ends = [math.tanh(0.693147 + sign * 1.959964 * 0.661060) for sign in (-1, 1)]
    assert (found.low, found.high) == pytest.approx(tuple(ends), abs=1e-5)
    found = orderings.agreement([1, 2, 3, 4], [2, 1, 4, 3])
    assert found.tau == pytest.approx(1 / 3)
    assert (found.low, found.high) == (None, None)


def test_the_interval_holds_the_true_tau():
    """Of normal pairs tau is 2 / pi arcsin(correlation) (Greiner)."""
    draw = np.random.default_rng(4)
    truth, covered = 2 / math.pi * math.asin(0.6), 0
    for _ in range(500):
        x = draw.normal(size=25)
        found = orderings.agreement(x, 0.6 * x + 0.8 * draw.normal(size=25))
        covered += found.low <= truth <= found.high
    assert 0.92 <= covered / 500 <= 0.98


def test_no_ordering_no_agreement():
    assert orderings.agreement([1, 1, 1], [1, 2, 3]) is None
    assert orderings.agreement([1, 2, 3], [2, 2, 2]) is None
    assert orderings.agreement([1], [2]) is None


def test_bad_lists_are_refused():
    with pytest.raises(ValueError, match="3 and 2 items"):
        orderings.agreement([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="all of them finite"):
        orderings.agreement([1, 2, math.nan], [1, 2, 3])


def test_equal_orders_of_any_length_have_a_tau_of_exactly_one():
    """SciPy 1.17 makes 0.9999999999999999 of some."""
    for n in range(2, 40):
        assert orderings.agreement(np.arange(n), np.arange(n) ** 2).tau == 1
