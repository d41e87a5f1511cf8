"""Tests of differences against SciPy, enumeration and written-out formulas."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from trapmid.metrics.statistics import comparisons

DIFFERENCES = [0.5, -0.1, 0.3, 0.2, 0.4, -0.2, 0.6]


def test_the_permutation_test_is_its_enumeration():
    observed = abs(sum(DIFFERENCES))
    ways = itertools.product((1, -1), repeat=len(DIFFERENCES))
    sums = [abs(sum(s * d for s, d in zip(signs, DIFFERENCES, strict=True))) for signs in ways]
    wanted = sum(total >= observed - 1e-9 for total in sums) / 2**7
    assert comparisons.sign_flip_p(DIFFERENCES) == wanted


def test_fishers_example_of_darwins_maize():
    """Fisher, The Design of Experiments, section 21: 1,726 of 32,768 ways (and table 3)."""
    inches_in_eighths = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert comparisons.sign_flip_p(inches_in_eighths) == 1726 / 32768
    assert comparisons.paired_t_p(inches_in_eighths) == pytest.approx(0.0497, abs=5e-5)


@pytest.mark.parametrize("n", [12, 200])
def test_the_permutation_test_is_scipys(n):
    numbers = np.random.default_rng(n).normal(0.15, 1, n)
    theirs = stats.permutation_test(
        (numbers,), np.mean, permutation_type="samples", n_resamples=20_000, random_state=1
    )
    near = 1e-12 if n == 12 else 0.015
    assert comparisons.sign_flip_p(numbers) == pytest.approx(theirs.pvalue, abs=near)


def test_up_to_sixteen_differences_all_ways_are_tried():
    """Of 65,536 ways two are as extreme; of one difference more no p is below 1 / 10,000."""
    assert comparisons.sign_flip_p(np.ones(16)) == 2 / 2**16
    assert comparisons.sign_flip_p(np.ones(17)) >= 1 / 10_000


def test_the_same_numbers_have_the_same_p_again():
    """The ways that are drawn are kept for one number of people alone, and drawn again after it."""
    numbers = np.random.default_rng(7).normal(0.1, 1, 50)
    first = comparisons.sign_flip_p(numbers)
    comparisons.sign_flip_p(np.ones(51))
    assert comparisons.sign_flip_p(numbers) == first


def test_no_p_is_0_and_no_difference_is_none():
    assert comparisons.sign_flip_p(np.ones(300)) == 1 / 10_000
    assert comparisons.sign_flip_p(np.zeros(300)) == 1
    assert comparisons.sign_flip_p([0.0, 0.0]) == 1
    assert comparisons.sign_flip_p([0.3]) == 1


def test_the_order_of_people_changes_nothing():
    numbers = np.random.default_rng(7).normal(0.1, 1, 50)
    assert comparisons.sign_flip_p(numbers[::-1]) == comparisons.sign_flip_p(numbers)


def test_a_true_null_is_rejected_as_often_as_it_says():
    draws = np.random.default_rng(8).normal(0, 1, (1000, 10)).round(1)
    rejected = sum(comparisons.sign_flip_p(one) < 0.05 for one in draws)
    assert 25 <= rejected <= 70


def test_three_seeds_get_students_test():
    values = np.array([-0.3, -0.4, -0.35])
    t = values.mean() / (values.std(ddof=1) / math.sqrt(3))
    assert comparisons.paired_t_p(values) == pytest.approx(2 * stats.t.sf(abs(t), 2))


def test_equal_differences_of_three_seeds_decide_nothing():
    """Student's p would be 0."""
    assert comparisons.paired_t_p([-0.5, -0.5, -0.5]) == 0.25
    assert comparisons.paired_t_p([0.1 + 0.2, 0.3, 0.3]) == 0.25
    assert comparisons.paired_t_p([0, 0, 0]) == 1


def test_two_seeds_are_refused():
    with pytest.raises(ValueError, match="2 seeds, at least 3 are needed"):
        comparisons.paired_t_p([0.1, 0.2])


def test_the_detectable_effect_is_found_in_four_of_five_studies():
    """Bloom's multiplier is near enough: power 0.8 by simulation."""
    draw = np.random.default_rng(9)
    effect = comparisons.detectable(draw.normal(0, 1, 20))
    spread = 1 / np.std(np.random.default_rng(9).normal(0, 1, 20), ddof=1)
    studies = draw.normal(effect * spread, 1, (4000, 20))
    found = (stats.ttest_1samp(studies, 0, axis=1).pvalue < 0.05).mean()
    assert found == pytest.approx(0.8, abs=0.03)


def test_the_detectable_effect_of_three_seeds_is_its_formula():
    """4.303 and 1.061 are the table's quantiles of two degrees of freedom."""
    found = comparisons.detectable([0.1, 0.2, 0.3])
    assert found == pytest.approx((4.302653 + 1.060660) * 0.1 / math.sqrt(3), abs=1e-6)


@pytest.mark.parametrize("values", [[0.1, 0.2], [0.3, 0.3, 0.3], [0.5]])
def test_without_a_deviation_no_effect_is_named(values):
    assert comparisons.detectable(values) is None


def literal_holm(p_values: list[float]) -> list[float]:
    """Of the k-th smallest of m: the greatest of (m - j + 1) p_j over all j up to k."""
    ordered, m = sorted(p_values), len(p_values)
    steps = [max(min(1, (m - j) * ordered[j]) for j in range(k + 1)) for k in range(m)]
    return [steps[ordered.index(p)] for p in p_values]


def test_holm_is_its_definition():
    for p_values in (
        [0.01, 0.04, 0.03, 0.005],
        [0.5, 0.9, 0.2],
        [0.02],
        [0.03, 0.03, 0.01],
        [0.6, 0.9, 0.4],  # no p is above 1
        [0, 1],
    ):
        assert comparisons.holm(p_values) == pytest.approx(literal_holm(p_values))
    assert comparisons.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert comparisons.holm([]) == []


@pytest.mark.parametrize("wrong", [math.nan, -0.1, 1.1])
def test_holm_refuses_what_is_no_p(wrong):
    with pytest.raises(ValueError, match="every p value must be in"):
        comparisons.holm([0.01, wrong])


@pytest.mark.parametrize("values", [[], [0.1, math.nan, 0.2]])
def test_no_test_takes_what_is_no_number(values):
    for test in (comparisons.sign_flip_p, comparisons.paired_t_p, comparisons.detectable):
        with pytest.raises(ValueError, match="all of them finite"):
            test(values)


def test_verdicts():
    assert comparisons.verdict(-0.2, 0.049) == "lower"
    assert comparisons.verdict(0.2, 0.049) == "higher"
    assert comparisons.verdict(-0.2, 0.05) == "cannot tell"
    assert comparisons.verdict(0.0, 0.0) == "cannot tell"
