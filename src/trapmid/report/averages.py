"""One number of several seeds: its mean, its interval, and how far the seeds lie apart."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from trapmid.metrics.robustness import Robustness
from trapmid.metrics.statistics.intervals import Interval, of_cell
from trapmid.scoring.means import Spread
from trapmid.scoring.scores import rounded

_DIGITS = 6  # as the scores are: the last bits of a sum are not worth a diff


class Deviation(NamedTuple):
    """How far the seeds of one experiment lie apart; None where there are too few of them."""

    population: float | None  # n in the denominator, as the paper's tables have it; one value: 0
    sample: float | None  # n - 1: the deviation to expect of another seed; needs two values


def deviation(values: Sequence[float]) -> Deviation:
    """Both standard deviations of the values of several seeds."""
    return Deviation(
        population=statistics.pstdev(values) if values else None,
        sample=statistics.stdev(values) if len(values) > 1 else None,
    )


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are not null; whole numbers stay whole."""
    there = [value for value in values if value is not None]
    if not there:
        return None
    mean = math.fsum(there) / len(there)
    whole = mean.is_integer() and all(isinstance(value, int) for value in there)
    return int(mean) if whole else round(mean, _DIGITS)


class Scored(Protocol):
    """One row's scores, with the intervals within its run."""

    @property
    def intervals(self) -> dict[str, Interval]: ...


def intervals_of(rows: Sequence[Scored], names: Iterable[str]) -> dict[str, Interval]:
    """The 95 % interval of the mean over rows, one of each seed, of every rate in `names`.

    A rate that no row has, or whose only row has no interval, is left out.
    """
    found = {name: _interval(rows, name) for name in names}
    return rounded({name: one for name, one in found.items() if one is not None})


def _interval(rows: Sequence[Scored], name: str) -> Interval | None:
    there = [row for row in rows if getattr(row, name) is not None]
    within = [row.intervals[name] for row in there if name in row.intervals]
    return of_cell([getattr(row, name) for row in there], within)


class RobustMeans(NamedTuple):
    """Robust accuracy of one defence."""

    rates: dict[str, float]  # by radius
    intervals: dict[str, Interval]  # by `robust_accuracy.RADIUS`


def robust_means(rows: Sequence[Robustness]) -> RobustMeans:
    """The mean over seeds, at the radii that all of them have."""
    radii = [r for r in rows[0].robust_accuracy if all(r in one.robust_accuracy for one in rows)]
    rates = {radius: [one.robust_accuracy[radius] for one in rows] for radius in radii}
    names = {radius: f"robust_accuracy.{radius}" for radius in radii}
    cells = {n: of_cell(rates[r], [one.intervals[n] for one in rows]) for r, n in names.items()}
    means = {radius: math.fsum(values) / len(values) for radius, values in rates.items()}
    there = {name: one for name, one in cells.items() if one is not None}
    return RobustMeans(rounded(means), rounded(there))


def spread_of(values: Mapping[int, float | None]) -> Spread:
    """Deviations over seeds, and the values by seed."""
    found = deviation([value for value in values.values() if value is not None])
    rounded = {
        name: None if value is None else round(value, _DIGITS)
        for name, value in found._asdict().items()
    }
    return Spread(**rounded, values={str(seed): value for seed, value in values.items()})
