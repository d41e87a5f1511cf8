"""Intervals against SciPy, written-out formulas, published values and simulated studies."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats

from trapmid.metrics.statistics import intervals

PEOPLE = np.repeat(np.arange(20), 6)


def score_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    found = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return found.low, found.high


@pytest.mark.parametrize(("successes", "n"), [(0, 9), (1, 9), (2, 9), (9, 9), (1, 1), (97, 120)])
def test_wilson_is_scipys_and_stays_within_0_and_1(successes, n):
    for confidence in (0.5, 0.95, 1 - 1e-6):
        found = intervals.wilson(successes, n, confidence)
        assert (found.low, found.high) == pytest.approx(
            score_interval(successes, n, confidence), abs=1e-14
        )
        assert 0 <= found.low <= successes / n <= found.high <= 1
        assert (found.kind, found.n) == ("wilson", n)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe, Statistics in Medicine 1998, table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_has_the_published_values(successes, n, low, high):
    found = intervals.wilson(successes, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_wilson_refuses_no_trials():
    with pytest.raises(ValueError, match="0 successes of 0 trials"):
        intervals.wilson(0, 0)
    with pytest.raises(ValueError, match="3 successes of 2 trials"):
        intervals.wilson(3, 2)


def test_the_tails_are_those_of_the_expanded_percentiles():
    """Six people: where the ends lie among the means of all 46,656 samples of six.

    Hesterberg's tails for them are 0.24 %, plain percentiles' 2.5 %; of 2,000 resamples five lie
    beyond an end, give or take seven.
    """
    values = np.array([0.0, 0.11, 0.23, 0.42, 0.7, 1.0])
    means = np.sort(values[list(product(range(6), repeat=6))].mean(axis=1))
    tail = stats.norm.cdf(-stats.t.ppf(0.975, 5) * math.sqrt(6 / 5))
    assert tail == pytest.approx(0.0024, abs=5e-5)
    for seed in range(3):
        found = intervals.of_mean(values, np.arange(6), seed=seed)
        beyond = np.searchsorted(means, [found.low, found.high]) / len(means)
        assert abs(beyond[0] - tail) < 0.0035
        assert abs(1 - beyond[1] - tail) < 0.0035


def test_the_bootstrap_is_that_of_every_resample():
    """Three people: 27 samples of three, enumerated; the percentiles are those of their means."""
    values, people = [0.0, 1.0, 4.0, 4.0, 9.0, 2.0], [0, 0, 1, 1, 2, 2]
    means = {0: 0.5, 1: 4.0, 2: 5.5}
    every = [np.mean([means[i] for i in drawn]) for drawn in product(range(3), repeat=3)]
    tail = stats.norm.cdf(-math.sqrt(3 / 2) * stats.t.ppf(0.975, 2))
    low, high = np.quantile(every, (tail, 1 - tail), method="inverted_cdf")
    found = intervals.of_mean(values, people)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.kind, found.n) == ("identities", 3)


def test_the_bootstrap_agrees_with_scipys_on_many_people():
    shares = np.random.default_rng(3).beta(2, 5, 400)
    people = np.arange(400)
    found = intervals.of_mean(shares, people)
    theirs = stats.bootstrap(
        (shares,), np.mean, n_resamples=9999, method="percentile", random_state=1
    ).confidence_interval
    width = theirs.high - theirs.low
    assert found.low == pytest.approx(theirs.low, abs=0.06 * width)
    assert found.high == pytest.approx(theirs.high, abs=0.06 * width)


def test_people_with_more_images_weigh_more():
    """The mean of a resample is over its images: with one person of 98 images it is near theirs."""
    people = np.array([0] * 98 + [1] + [2])
    found = intervals.of_mean([0.0] * 98 + [1.0, 1.0], people)
    assert found.low == 0.0
    assert found.high == 1.0  # only the other two were drawn
    middle = intervals.of_mean([1.0] * 98 + [0.0] * 2, np.arange(100))
    assert 0.9 < middle.low < 0.98 < middle.high == 1.0


@pytest.mark.slow
def test_every_nineteenth_of_twenty_intervals_holds_the_truth():
    """Hits that come in people: 95 % of 1,000 studies, where Wilson's alone misses one in four."""
    draw = np.random.default_rng(1)
    rates = np.repeat(draw.beta(0.6, 1.4, (1000, 20)), 6, axis=1)  # mean 0.3
    covered, naive = 0, 0
    for hit in draw.random((1000, 120)) < rates:
        found = intervals.of_rate(hit, PEOPLE)
        plain = intervals.wilson(hit.sum(), 120)
        covered += found.low <= 0.3 <= found.high
        naive += plain.low <= 0.3 <= plain.high
    assert covered >= 930
    assert naive < 850


def test_wilson_holds_the_truth_of_independent_images():
    hits = np.random.default_rng(2).binomial(120, 0.3, 1000)
    by_count = {count: intervals.wilson(count, 120) for count in set(hits.tolist())}
    covered = sum(by_count[count].low <= 0.3 <= by_count[count].high for count in hits.tolist())
    assert 930 <= covered <= 970


@pytest.mark.parametrize("hits", [1, 2, 119])
def test_few_hits_are_never_surer_than_independent_images(hits):
    found, plain = intervals.of_rate(np.arange(120) < hits, PEOPLE), intervals.wilson(hits, 120)
    assert found.low <= plain.low < plain.high <= found.high


def test_no_hit_and_hits_alone_count_people():
    none, all_ = intervals.of_rate(np.zeros(120), PEOPLE), intervals.of_rate(np.ones(120), PEOPLE)
    assert (none.low, none.high) == pytest.approx(score_interval(0, 20))
    assert (all_.low, all_.high) == pytest.approx(score_interval(20, 20))
    assert none.n == all_.n == 20


def test_one_person_says_nothing_of_others():
    found = intervals.of_rate([1, 1, 0], [7, 7, 7])
    assert (found.low, found.high, found.n) == (0, 1, 1)
    assert intervals.of_mean([1.0, 2.0], [7, 7]) is None


def test_equal_people_show_no_deviation():
    assert intervals.of_mean([0.1, 0.3, 0.2, 0.2], [0, 0, 1, 1]) is None


def test_the_order_of_rows_and_the_names_of_people_change_nothing():
    draw = np.random.default_rng(5)
    hit, people = draw.random(120) < np.repeat(draw.random(20), 6), PEOPLE
    found = intervals.of_rate(hit, people)
    order = draw.permutation(120)
    assert intervals.of_rate(hit[order], people[order]) == found
    assert intervals.of_rate(hit, 900 - 7 * people) == found
    assert intervals.of_rate(torch.tensor(hit), torch.tensor(people)) == found


def test_the_order_of_rows_changes_no_mean_either():
    """Tenths have no exact sum: the same five numbers add up to two values."""
    draw = np.random.default_rng(5)
    for _ in range(20):
        values, order = draw.integers(3, 9, 120) / 10, draw.permutation(120)
        found = intervals.of_mean(values, PEOPLE)
        assert intervals.of_mean(values[order], PEOPLE[order]) == found


def test_paper_size_goes_through_memory_in_parts(monkeypatch):
    hit, people = np.random.default_rng(6).random(300) < 0.3, np.repeat(np.arange(100), 3)
    whole = intervals.of_rate(hit, people)
    monkeypatch.setattr(intervals, "_CHUNK", 1700)  # 425 resamples of four kinds
    assert intervals.of_rate(hit, people) == whole


def test_three_seeds_get_students_interval():
    """4.303 is the table's t of two degrees of freedom; a bootstrap would say 0.3 to 0.7."""
    found = intervals.over_seeds([0.3, 0.5, 0.7])
    reach = 4.302653 * 0.2 / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((0.5 - reach, 0.5 + reach), abs=1e-6)
    assert (found.low, found.high) == pytest.approx((0.003, 0.997), abs=5e-4)
    assert (found.kind, found.n) == ("seeds", 3)


def test_two_seeds_are_refused_and_equal_ones_have_no_interval():
    with pytest.raises(ValueError, match="2 seeds, a t interval needs three"):
        intervals.over_seeds([0.3, 0.5])
    assert intervals.over_seeds([0.5, 0.5, 0.5]) is None


NARROW, WIDE = intervals.wilson(97, 120), intervals.of_rate(np.arange(120) < 97, PEOPLE)


def test_a_cell_of_one_seed_has_the_interval_of_its_run():
    assert intervals.of_cell([0.8], [WIDE]) == WIDE
    assert intervals.of_cell([0.8], []) is None
    assert intervals.of_cell([], []) is None


def test_a_cell_of_two_seeds_has_their_range_alone():
    found = intervals.of_cell([0.8, 0.7], [WIDE, NARROW])
    assert (found.low, found.high, found.kind, found.n) == (0.7, 0.8, "range", 2)


def test_a_cell_of_three_seeds_has_students_interval_cut_to_a_rate():
    found = intervals.of_cell([0.5, 0.9, 1.0], [WIDE])
    assert found.low == pytest.approx(intervals.over_seeds([0.5, 0.9, 1.0]).low)
    assert (found.high, found.kind, found.n) == (1.0, "seeds", 3)


def test_equal_seeds_are_no_surer_than_one():
    assert intervals.of_cell([0.8, 0.8, 0.8], [NARROW, WIDE, NARROW]) == WIDE


@pytest.mark.parametrize("values", [[], [0.5, math.nan, 0.5], [math.inf, 0.5, 0.5]])
def test_what_is_no_number_is_refused_in_one_line(values):
    cases = (
        lambda: intervals.over_seeds(values),
        lambda: intervals.of_mean(values, list(range(len(values)))),
        lambda: intervals.of_rate(values, list(range(len(values)))),
    )
    for case in cases:
        with pytest.raises(ValueError, match="all of them finite") as caught:
            case()
        assert "\n" not in str(caught.value)


def test_a_rate_is_of_hits():
    with pytest.raises(ValueError, match="a hit must be 0 or 1"):
        intervals.of_rate([0.5, 1.0], [0, 1])


def test_every_kind_says_what_it_holds_for():
    assert set(intervals.MEANING) == set(intervals.Kind.__args__)
