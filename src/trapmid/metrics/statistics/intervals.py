"""95 % intervals of rates and means.

Which of them a number gets depends on what was drawn at random: images, people, or trainings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from trapmid.metrics.statistics.clusters import Clusters
from trapmid.metrics.statistics.values import finite

Kind = Literal["wilson", "identities", "images", "seeds", "range"]

CONFIDENCE = 0.95

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
    low, high = _score(successes / n, n, confidence)
    return Interval(low=low, high=high, kind="wilson", n=int(n))


def _score(rate: float, trials: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's ends of a rate of `trials`, which need not be a count."""
    z = _normal((1 + confidence) / 2)
    middle, stretch = rate + z**2 / (2 * trials), 1 + z**2 / trials
    half = z * math.sqrt(rate * (1 - rate) / trials + (z / (2 * trials)) ** 2)
    low = 0.0 if rate == 0 else (middle - half) / stretch  # exactly, as SciPy has it
    return low, 1.0 if rate == 1 else (middle + half) / stretch


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
    hit: npt.ArrayLike,
    clusters: npt.ArrayLike,
    kind: Kind = "identities",
    seed: int = 0,
    *,
    equal: bool = False,
) -> Interval:
    """The interval of a share of hits that come in clusters: several images of one person.

    A bootstrap of whole clusters, and never narrower than Wilson's interval, which takes all images
    for independent. Where few or nearly all images are hits, both see too little of how much those
    of a person go together: no end is nearer to 0 or 1 than Wilson's would be without a hit, or
    with hits alone, of as many independent images as correlated ones are worth. So more hits of
    the same images never lower an end: AA-5 is nowhere under AA-1. Of one cluster nothing follows
    for others: 0 to 1.

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
        equal: of the mean of the clusters' shares of hits, instead of the share of all images. Both
            are one where clusters have equally many images.

    Raises:
        ValueError: there is no image, or a value that is neither 0 nor 1.
    """
    found = Clusters.of(hit, clusters, equal=equal)
    if not np.isin(np.asarray(hit), (0, 1)).all():
        raise ValueError("interval: a hit must be 0 or 1")
    if found.number == 1:
        return Interval(low=0.0, high=1.0, kind=kind, n=1)
    end = _score(0.0, found.worth)[1]
    if found.mean in (0, 1):
        low, high = (1 - end, 1.0) if found.mean else (0.0, end)
        return Interval(low=low, high=high, kind=kind, n=found.number)
    drawn, least = _bootstrap(found, kind, seed), _score(found.mean, found.independent)
    low = min(drawn.low, least[0], 1 - end)
    high = max(drawn.high, least[1], end)
    return Interval(low=low, high=high, kind=kind, n=found.number)


def of_mean(
    values: npt.ArrayLike,
    clusters: npt.ArrayLike,
    kind: Kind = "identities",
    seed: int = 0,
    *,
    equal: bool = False,
) -> Interval | None:
    """The interval of a mean of numbers (N,) that come in clusters, by bootstrap of these.

    Args:
        equal: as of `of_rate`.

    Returns:
        None: one cluster, or clusters of one mean, which show no deviation.

    Raises:
        ValueError: there is no value, or one that is not finite.
    """
    found = Clusters.of(values, clusters, equal=equal)
    if np.ptp(found.means) <= 1e-12 * np.abs(found.means).max():
        return None
    return _bootstrap(found, kind, seed)


def of_share(
    values: npt.ArrayLike,
    clusters: npt.ArrayLike,
    kind: Kind = "identities",
    seed: int = 0,
    *,
    equal: bool = False,
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
        return of_rate(numbers, clusters, kind, seed, equal=equal)
    return of_mean(numbers, clusters, kind, seed, equal=equal)


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


def _bootstrap(clusters: Clusters, kind: Kind, seed: int) -> Interval:
    """Percentiles of the means of samples of as many clusters.

    The percentiles lie further out than 2.5 and 97.5: few clusters would give an interval that is
    too narrow (the expanded percentile interval of Hesterberg, The American Statistician 2015).
    """
    n = clusters.number
    quantile = _student((1 + CONFIDENCE) / 2, n - 1) * math.sqrt(n / (n - 1))
    tail = float(special.ndtr(-quantile))
    low, high = np.quantile(clusters.resampled(seed), (tail, 1 - tail))
    return Interval(low=float(low), high=float(high), kind=kind, n=n)
