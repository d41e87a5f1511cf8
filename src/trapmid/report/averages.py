"""One number of several seeds: its mean, and how far the seeds lie apart."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from trapmid.scoring.means import Spread

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


def spread_of(values: Mapping[int, float | None]) -> Spread:
    """Deviations over seeds, and the values by seed."""
    found = deviation([value for value in values.values() if value is not None])
    rounded = {
        name: None if value is None else round(value, _DIGITS)
        for name, value in found._asdict().items()
    }
    return Spread(**rounded, values={str(seed): value for seed, value in values.items()})
