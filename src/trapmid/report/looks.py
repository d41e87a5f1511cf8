"""Whether looks leak less under a defence than without one: on the same people and seeds.

People differ far more from each other than one person does under two defences. Two intervals over
people may meet where nearly everybody's looks leak less.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trapmid.metrics.statistics import comparisons, intervals
from trapmid.metrics.statistics.intervals import Interval

Shares = Mapping[int, float]
"""Person -> the mean share of other people who are farther from an image of the person."""


class Difference(NamedTuple):
    """Of the mean share, on the people and seeds that two attacks have in common."""

    value: float  # below zero: less leaks
    interval: Interval | None  # over seeds from three on; of fewer, over people
    p: float  # of the permutation test, or over seeds Student's t test
    seeds: int  # that both have


def difference(ours: Mapping[int, Shares], theirs: Mapping[int, Shares]) -> Difference | None:
    """How much more, or less, leaks of `ours` than of `theirs`.

    Args:
        ours, theirs: by seed.

    Returns:
        None: no seed or no person is common to both.
    """
    seeds = [seed for seed in sorted(ours.keys() & theirs.keys()) if ours[seed] and theirs[seed]]
    both = [set(side[seed]) for seed in seeds for side in (ours, theirs)]
    people = sorted(set.intersection(*both)) if both else []
    if not people:
        return None
    grid = np.array([[ours[s][who] - theirs[s][who] for who in people] for s in seeds])
    if len(seeds) >= comparisons.LEAST_SEEDS:
        by_seed = grid.mean(axis=1)
        within = intervals.over_seeds(by_seed.tolist())
        p = comparisons.paired_t_p(by_seed)
        return Difference(float(grid.mean()), within, p, len(seeds))
    by_person: npt.NDArray[np.float64] = grid.mean(axis=0)
    within = intervals.of_mean(by_person, np.arange(len(by_person)))
    p = comparisons.sign_flip_p(by_person)
    return Difference(float(grid.mean()), within, p, len(seeds))
