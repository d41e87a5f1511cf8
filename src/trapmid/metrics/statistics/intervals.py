"""95 % intervals of rates and means.

Which of them a number gets depends on what was drawn at random: images, people, or trainings.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

Kind = Literal["wilson", "identities", "images", "seeds", "range"]

CONFIDENCE = 0.95
RESAMPLES = 2000
_CHUNK = 4_000_000  # weights of a bootstrap that are in memory at once
_CORRELATION = 0.4  # of a person's images, the highest of 24 rates of the default study

Numbers = npt.NDArray[np.float64]
Drawn = npt.NDArray[np.uint32]

MEANING: dict[Kind, str] = {
    "wilson": "Wilson interval; the images count as independent; this trained network only",
    "identities": "bootstrap over people; this trained target only",
    "images": "bootstrap over images; this trained target only",
    "seeds": "t interval over seeds; another training is covered",
    "range": "least and greatest of two seeds; no confidence interval",
}
"""What an interval of each kind holds for."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where a rate or a mean lies with 95 % confidence; of the kind `range`: the values' ends."""

    low: float
    high: float
    kind: Kind
    n: int  # how many were drawn: images of `wilson` and `images`, people, or seeds


def wilson(successes: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """The score interval of a rate (Wilson, JASA 1927).

    Args:
        successes: 0 to n.
        n: independent trials, at least 1.
        confidence: in (0, 1).

    Raises:
        ValueError: there are no trials, or more successes than trials.
    """
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"wilson: {successes} successes of {n} trials")
    rate, z = successes / n, _normal((1 + confidence) / 2)
    middle, stretch = rate + z**2 / (2 * n), 1 + z**2 / n
    half = z * math.sqrt(rate * (1 - rate) / n + (z / (2 * n)) ** 2)
    low = 0.0 if successes == 0 else (middle - half) / stretch  # exactly, as SciPy has it
    high = 1.0 if successes == n else (middle + half) / stretch
    return Interval(low=low, high=high, kind="wilson", n=int(n))


def _normal(p: float) -> float:
    """The quantile of the standard normal distribution.

    SciPy's special functions alone: its module of distributions takes 0.7 s to import, in every
    stage that has a rate.
    """
    return float(special.ndtri(p))


def _student(p: float, freedom: int) -> float:
    """The quantile of Student's t."""
    return float(special.stdtrit(freedom, p))


def of_rate(
    hit: npt.ArrayLike, clusters: npt.ArrayLike, kind: Kind = "identities", seed: int = 0
) -> Interval:
    """The interval of a share of hits that come in clusters: several images of one person.

    A bootstrap of whole clusters, and never narrower than Wilson's interval, which takes all images
    for independent. Where few or nearly all images are hits, both see too little of how much those
    of a person go together: no end is nearer to 0 or 1 than Wilson's would be without a hit, or
    with hits alone, of as many independent images as correlated ones are worth (`_worth`). So
    more hits of the same images never lower an end: AA-5 is nowhere under AA-1. Of one cluster
    nothing follows for others: 0 to 1.

    In simulated studies of 24 people with five images it held the truth in 98 % and more at rates
    of 0.005 to 0.06, whatever the correlation within people up to 0.6, and in 94 to 97 % at 0.2 and
    0.5. Between these it is too narrow where the correlation is high: at 0.08 and 0.1 it held 93 %
    with one of 0.4, and 89 % with 0.6. That correlation is of a person's images. Of the many pairs
    of an image with triggers, or with other people, it is assumed alike and was not measured:
    an interval of these is too wide rather than too narrow (37 of 3,864 false accepts: to 6 %).

    Args:
        hit: (N,) bool.
        clusters: (N,) int, which cluster an image is of.
        kind: what a cluster is.
        seed: of the bootstrap.

    Raises:
        ValueError: there is no image, or a value that is neither 0 nor 1.
    """
    found = _by_cluster(hit, clusters)
    if not np.isin(np.asarray(hit), (0, 1)).all():
        raise ValueError("interval: a hit must be 0 or 1")
    groups = found.number
    hits, n = (round(float(found.times @ one)) for one in (found.total, found.size))
    if groups == 1:
        return Interval(low=0.0, high=1.0, kind=kind, n=1)
    end = _none_of(_worth(n, groups))
    if hits in (0, n):
        low, high = (1 - end, 1.0) if hits else (0.0, end)
        return Interval(low=low, high=high, kind=kind, n=groups)
    drawn, least = _bootstrap(found, kind, seed), wilson(hits, n)
    low = min(drawn.low, least.low, 1 - end)
    high = max(drawn.high, least.high, end)
    return Interval(low=low, high=high, kind=kind, n=groups)


def _worth(n: int, groups: int) -> float:
    """How many independent images `n` of `groups` people are worth, of the correlation assumed."""
    return n / (1 + (n / groups - 1) * _CORRELATION)


def _none_of(trials: float) -> float:
    """The upper end of Wilson's interval of no success in `trials`, which need not be a count."""
    z = _normal((1 + CONFIDENCE) / 2)
    return z**2 / (trials + z**2)


def of_mean(
    values: npt.ArrayLike, clusters: npt.ArrayLike, kind: Kind = "identities", seed: int = 0
) -> Interval | None:
    """The interval of a mean of numbers (N,) that come in clusters, by bootstrap of these.

    Returns:
        None: one cluster, or clusters of one mean, which show no deviation.

    Raises:
        ValueError: there is no value, or one that is not finite.
    """
    found = _by_cluster(values, clusters)
    means = found.total / found.size
    if np.ptp(means) <= 1e-12 * np.abs(means).max():
        return None
    return _bootstrap(found, kind, seed)


def of_share(
    values: npt.ArrayLike, clusters: npt.ArrayLike, kind: Kind = "identities", seed: int = 0
) -> Interval | None:
    """The interval of a mean of shares (N,) that come in clusters.

    `of_mean`, and where every share is 0, or every one is 1, `of_rate`: shares vary no more than
    hits do, so that it is not too narrow, and a perfect result is not one without an interval.

    Returns:
        None: clusters of one mean between 0 and 1, or one cluster of such a mean. In practice all
            are at a half, by ties alone, where nothing is measured.

    Raises:
        ValueError: there is no value, or one outside [0, 1].
    """
    numbers = finite(values)
    if numbers.min() < 0 or numbers.max() > 1:
        raise ValueError("interval: a share must be in [0, 1]")
    if numbers.min() == numbers.max() and numbers[0] in (0, 1):
        return of_rate(numbers, clusters, kind, seed)
    return of_mean(numbers, clusters, kind, seed)


def over_seeds(values: Sequence[float]) -> Interval | None:
    """Student's t interval of the mean of at least three values, one of each seed.

    Three values are too few for a bootstrap: it never leaves their range.

    Returns:
        None: the values are equal, and show no deviation.

    Raises:
        ValueError: there are fewer than three, or one is not finite.
    """
    numbers = finite(values)
    if len(numbers) < 3:
        raise ValueError(f"interval: {len(numbers)} seeds, a t interval needs three")
    if np.ptp(numbers) == 0:
        return None
    n, mean = len(numbers), float(numbers.mean())
    half = _student((1 + CONFIDENCE) / 2, n - 1) * float(numbers.std(ddof=1)) / math.sqrt(n)
    low, high = mean - half, mean + half
    return Interval(low=float(low), high=float(high), kind="seeds", n=len(numbers))


def of_cell(values: Sequence[float], within: Sequence[Interval]) -> Interval | None:
    """The interval that a rate gets in a table which shows its mean over seeds.

    One seed: its own interval within the run. Two: their range. More: t over the seeds, cut at 0
    and 1. Equal seeds show no deviation; the widest of the intervals within their runs stands then.

    Args:
        values: the rate of every seed.
        within: the intervals of these runs, as far as there are any.
    """
    if len(values) == 2:
        low, high = sorted(finite(values))
        return Interval(low=float(low), high=float(high), kind="range", n=2)
    found = over_seeds(values) if len(values) > 2 else None
    if found is not None:
        low, high = max(found.low, 0.0), min(found.high, 1.0)
        return Interval(low=low, high=high, kind="seeds", n=found.n)
    return max(within, key=lambda one: one.high - one.low, default=None)


def finite(values: npt.ArrayLike) -> Numbers:
    """The values (N,) as float64; ValueError: there is none, or one that is not finite."""
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not numbers.size or not np.isfinite(numbers).all():
        raise ValueError("statistics: needs numbers, all of them finite")
    return numbers


class _Clusters(NamedTuple):
    """Clusters, those that are alike counted: a resample cannot tell them apart.

    Small ones come first, and of one size those of a small sum: the order of the rows has no
    influence. Nor has it a place that is drawn: where values rise, no resample's mean falls.
    """

    size: Numbers  # (K,) how many values
    total: Numbers  # (K,) their sum
    times: npt.NDArray[np.int64]  # (K,) how many clusters are like this

    @property
    def number(self) -> int:
        return int(self.times.sum())


def _by_cluster(values: npt.ArrayLike, clusters: npt.ArrayLike) -> _Clusters:
    numbers = finite(values)
    _, place = np.unique(np.asarray(clusters), return_inverse=True)
    order = np.lexsort((numbers, place))  # a sum of floats depends on its order
    numbers, place = numbers[order], place[order]
    pairs = np.stack([np.bincount(place), np.bincount(place, weights=numbers)])
    kinds, times = np.unique(pairs, axis=1, return_counts=True)
    return _Clusters(kinds[0], kinds[1], times)


def _bootstrap(clusters: _Clusters, kind: Kind, seed: int) -> Interval:
    """Percentiles of the means of `RESAMPLES` samples of as many clusters.

    The percentiles lie further out than 2.5 and 97.5: few clusters would give an interval that is
    too narrow (the expanded percentile interval of Hesterberg, The American Statistician 2015).
    """
    n = clusters.number
    quantile = _student((1 + CONFIDENCE) / 2, n - 1) * math.sqrt(n / (n - 1))
    tail = float(special.ndtr(-quantile))
    low, high = np.quantile(_resampled_means(clusters, seed), (tail, 1 - tail))
    return Interval(low=float(low), high=float(high), kind=kind, n=n)


def _resampled_means(clusters: _Clusters, seed: int) -> Numbers:
    """(RESAMPLES,) means."""
    first = np.cumsum(clusters.times) - clusters.times  # where each kind begins
    means = []
    for drawn in _draws(clusters.number, seed):
        weights = np.add.reduceat(drawn, first, axis=1, dtype=np.int64)
        means.append((weights @ clusters.total) / (weights @ clusters.size))
    return np.concatenate(means)


def _draws(number: int, seed: int) -> Iterable[Drawn]:
    """How often each of so many clusters is drawn, (RESAMPLES, number), in parts."""
    if RESAMPLES * number <= _CHUNK:
        return [_kept(number, seed)]
    return _drawn(number, seed)


@functools.lru_cache(maxsize=4)
def _kept(number: int, seed: int) -> Drawn:
    """A row has some twenty rates of the same people."""
    (drawn,) = _drawn(number, seed)
    drawn.flags.writeable = False
    return drawn


def _drawn(number: int, seed: int) -> Iterator[Drawn]:
    draw: Any = np.random.default_rng(seed)
    step, equal = max(1, _CHUNK // number), np.full(number, 1 / number)
    for start in range(0, RESAMPLES, step):
        size = min(step, RESAMPLES - start)
        yield draw.multinomial(number, equal, size=size).astype(np.uint32)
