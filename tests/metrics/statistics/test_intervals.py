"""Intervals against SciPy, written-out formulas, published values and simulated studies."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats

from trapmid.metrics.statistics import clusters, intervals

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
    shares = np.random.default_rng(0).random(120)
    every = {intervals.of_mean(shares, PEOPLE, seed=seed).low for seed in (0, 1, 2, 0)}
    assert len(every) == 3  # each seed has resamples of its own


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


def test_a_resample_is_a_mean_over_images():
    """Five people of two to twelve images, all 3,125 samples: of means of means the ends differ."""
    shares, sizes = [0.0, 0.3, 0.5, 0.8, 1.0], [2, 3, 4, 7, 12]
    drawn = [list(one) for one in product(range(5), repeat=5)]
    every = [np.average(np.take(shares, one), weights=np.take(sizes, one)) for one in drawn]
    tail = stats.norm.cdf(-math.sqrt(5 / 4) * stats.t.ppf(0.975, 4))
    found = intervals.of_mean(np.repeat(shares, sizes), np.repeat(range(5), sizes))
    wanted = np.quantile(every, (tail, 1 - tail))
    assert wanted == pytest.approx([0.0818, 0.9745], abs=1e-4)  # of means of means: 0.06 and 0.96
    assert (found.low, found.high) == pytest.approx(tuple(wanted), abs=0.005)


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


def test_a_rate_has_the_wider_of_both_intervals():
    """People who are all hit or all missed: the bootstrap's, at both ends. Where everybody has half
    of the hits the bootstrap sees no deviation: Wilson's.
    """
    together, plain = intervals.of_rate(PEOPLE % 2, PEOPLE), intervals.wilson(60, 120)
    resampled = intervals.of_mean(PEOPLE % 2, PEOPLE)
    assert (together.low, together.high) == (resampled.low, resampled.high)
    assert together.low < plain.low < plain.high < together.high
    apart = intervals.of_rate(np.arange(120) % 2, PEOPLE)
    assert (apart.low, apart.high) == (plain.low, plain.high)


def test_without_a_hit_six_images_of_a_person_are_worth_two():
    """6 / (1 + 5 * 0.4) = 2: Wilson's of 40 independent images; hits alone likewise."""
    none, all_ = intervals.of_rate(np.zeros(120), PEOPLE), intervals.of_rate(np.ones(120), PEOPLE)
    end = score_interval(0, 40)[1]
    assert (none.low, none.high) == pytest.approx((0, end))
    assert (all_.low, all_.high) == pytest.approx((1 - end, 1))
    assert none.n == all_.n == 20


def test_no_hit_of_one_image_each_is_wilsons():
    none = intervals.of_rate(np.zeros(20), np.arange(20))
    assert (none.low, none.high) == pytest.approx(score_interval(0, 20))


def test_no_hit_among_many_images_of_few_people():
    found = intervals.of_rate(np.zeros(1000), np.repeat([0, 1], 500))
    assert score_interval(0, 5)[1] < found.high < score_interval(0, 4)[1]


UNEVEN = np.repeat(np.arange(6), [53, 4, 4, 3, 3, 2])


def test_images_of_one_person_are_worth_little_where_most_are_of_that_person():
    """The variance of a mean of 69 images, from their whole matrix of correlations."""
    matrix = np.where(UNEVEN[:, None] == UNEVEN, 0.4, 0.0)
    np.fill_diagonal(matrix, 1.0)
    for equal, weight in (
        (False, np.full(69, 1 / 69)),
        (True, (1 / 6) / np.bincount(UNEVEN)[UNEVEN]),
    ):
        found = clusters.Clusters.of(np.zeros(69), UNEVEN, equal=equal)
        assert found.worth == pytest.approx(1 / (weight @ matrix @ weight))
        assert found.independent == pytest.approx(1 / (weight @ weight))
        none = intervals.of_rate(np.zeros(69), UNEVEN, equal=equal)
        assert none.high == pytest.approx(1.96**2 / (found.worth + 1.96**2), abs=1e-4)


def test_equal_clusters_are_people_of_whom_each_counts_once():
    """All images of the one who has most, none of the others': a sixth, not 77 %."""
    hit = UNEVEN == 0
    each, every = (intervals.of_rate(hit, UNEVEN, equal=equal) for equal in (True, False))
    assert each.low <= 1 / 6 <= each.high < 53 / 69 < every.high
    of_shares = intervals.of_mean([1.0] + [0.0] * 5, np.arange(6))
    assert each.high >= of_shares.high
    assert each.n == 6
    shares = np.where(hit, 0.9, 0.1) + 0.05 * np.random.default_rng(0).random(69)
    means = [shares[who == UNEVEN].mean() for who in range(6)]
    weighed = intervals.of_share(shares, UNEVEN, equal=True)
    unweighed = intervals.of_mean(means, np.arange(6))
    assert (weighed.low, weighed.high) == pytest.approx((unweighed.low, unweighed.high), abs=0.05)
    even = np.arange(120) % 7 < 2
    alike, plain = (intervals.of_rate(even, PEOPLE, equal=equal) for equal in (True, False))
    assert (alike.low, alike.high) == pytest.approx((plain.low, plain.high))


@pytest.mark.parametrize("people", [PEOPLE, np.repeat(np.arange(12), np.arange(1, 13))])
def test_more_hits_never_lower_an_end(people):
    """AA-5 counts every hit of AA-1 and more; so do two hits, one and none."""
    draw = np.random.default_rng(11)
    for case in range(150):
        rate = draw.choice([0.0, 0.01, 0.05, 0.3, 0.7, 0.95, 0.99])
        of_person = draw.beta(0.5, 0.5, len(people))[people] < rate
        hit = np.where(case % 2, draw.random(len(people)) < rate, of_person)
        ends = []
        for more in (0.0, 1 / len(people), 0.05, 0.3, 1.0):
            hit = hit | (draw.random(len(people)) < more)
            found = intervals.of_rate(hit, people, seed=case)
            ends.append((found.low, found.high))
            assert found.low <= hit.mean() <= found.high
        lows, highs = zip(*ends, strict=True)
        assert list(lows) == sorted(lows)
        assert list(highs) == sorted(highs)


@pytest.mark.parametrize("hits", [0, 1, 2, 118, 119])
def test_one_hit_more_never_lowers_an_end(hits):
    fewer, more = (intervals.of_rate(np.arange(120) < k, PEOPLE) for k in (hits, hits + 1))
    assert fewer.low <= more.low
    assert fewer.high <= more.high


def coverage(rate, correlation, studies=400):
    """The share of studies of 24 people with five images whose interval holds the rate."""
    draw, people = np.random.default_rng(8), np.repeat(np.arange(24), 5)
    rates = np.full((studies, 24), rate)
    if correlation:
        spread = 1 / correlation - 1
        rates = draw.beta(rate * spread, (1 - rate) * spread, (studies, 24))
    hits = [tuple(sorted(one)) for one in draw.binomial(5, rates).tolist()]
    found = {
        one: intervals.of_rate(np.concatenate([np.arange(5) < k for k in one]), people)
        for one in set(hits)
    }
    return np.mean([found[one].low <= rate <= found[one].high for one in hits])


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0, 0.2, 0.4, 0.6])
def test_small_rates_are_held_whatever_people_have_in_common(correlation):
    for rate in (0.005, 0.01, 0.02, 0.04):
        assert coverage(rate, correlation) >= 0.98
        assert coverage(1 - rate, correlation) >= 0.98


@pytest.mark.slow
def test_where_few_people_have_all_hits_it_is_too_narrow():
    """As the docstring says: a rule that holds here fails the test, and the words."""
    assert coverage(0.06, 0.6) >= 0.98
    assert 0.9 <= coverage(0.1, 0.4) <= 0.95
    assert 0.86 <= coverage(0.1, 0.6) <= 0.92


def test_one_person_says_nothing_of_others():
    found = intervals.of_rate([1, 1, 0], [7, 7, 7])
    assert (found.low, found.high, found.n) == (0, 1, 1)
    assert intervals.of_mean([1.0, 2.0], [7, 7]) is None


def test_equal_people_show_no_deviation():
    assert intervals.of_mean([0.1, 0.3, 0.2, 0.2], [0, 0, 1, 1]) is None
    assert 0.1 + 0.2 != 0.3 + 0.0  # but for the last bits
    assert intervals.of_mean([0.1, 0.2, 0.3, 0.0], [0, 0, 1, 1]) is None


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_share_that_is_everybodys_is_a_rate(value):
    shares = np.full(120, value)
    assert intervals.of_mean(shares, PEOPLE) is None
    assert intervals.of_share(shares, PEOPLE) == intervals.of_rate(shares, PEOPLE)


def test_other_shares_are_numbers():
    shares = np.random.default_rng(4).random(120)
    assert intervals.of_share(shares, PEOPLE) == intervals.of_mean(shares, PEOPLE)
    assert intervals.of_share(np.full(120, 0.5), PEOPLE) is None
    for beyond in (1.01, -0.01):
        with pytest.raises(ValueError, match=r"a share must be in \[0, 1\]"):
            intervals.of_share([0.5, beyond], [0, 1])


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
    monkeypatch.setattr(clusters, "_CHUNK", 1700)  # 425 resamples of four kinds
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
