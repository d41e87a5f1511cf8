"""Is one number lower than another? Tests of paired differences."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from trapmid.metrics.statistics.values import Numbers, finite

Verdict = Literal["lower", "higher", "cannot tell"]

LEVEL = 0.05
LEAST_SEEDS = 3
"""Fewer trained targets allow no verdict about a defence: two values have no usable deviation."""

_ENUMERATED = 16  # pairs whose signs are all tried: 65,536 ways
_DRAWN = 9_999  # ways for more pairs
LEAST_DRAWN = 1 / (_DRAWN + 1)
"""The least p where ways are drawn: it says "at most this", not how much less."""


def sign_flip_p(differences: npt.ArrayLike) -> float:
    """Two-sided p of the paired permutation test: the mean of differences (n,) is zero.

    Without an effect, either sign of a difference is as likely. Up to 16 differences all ways are
    tried, and the p is exact; beyond, 9,999 are drawn from a fixed seed, and the p is at least
    `LEAST_DRAWN`.

    Raises:
        ValueError: there is no difference, or one that is not finite.
    """
    numbers = np.sort(finite(differences))  # the order of the rows must not decide what is drawn
    sums = np.abs(_ways(len(numbers)) @ numbers)
    return float((sums >= abs(numbers.sum()) - _slack(numbers)).mean())


def bounded_by_draws(p: float, n: int) -> bool:
    """Whether the permutation test's p of n differences is as small as its draws can tell."""
    return n > _ENUMERATED and p <= LEAST_DRAWN


def paired_t_p(differences: npt.ArrayLike) -> float:
    """Two-sided p of Student's paired t test of differences (n,), one of each seed.

    Equal differences have no deviation to hold them against. The permutation test answers then.

    Raises:
        ValueError: there are fewer than three, or one is not finite.
    """
    numbers = finite(differences)
    if len(numbers) < LEAST_SEEDS:
        raise ValueError(f"comparison: {len(numbers)} seeds, at least {LEAST_SEEDS} are needed")
    if np.ptp(numbers) <= _slack(numbers):
        return sign_flip_p(numbers)
    return float(stats.ttest_1samp(numbers, 0.0).pvalue)


def detectable(differences: npt.ArrayLike, power: float = 0.8) -> float | None:
    """The least true mean that a two-sided test of level 0.05 finds with this power.

    (t_0.975 + t_power) s / sqrt(n), with n - 1 degrees of freedom (Bloom, Evaluation Review 1995).

    Returns:
        None: fewer than three differences (n,), or equal ones.
    """
    numbers = finite(differences)
    n = len(numbers)
    if n < LEAST_SEEDS or np.ptp(numbers) <= _slack(numbers):
        return None
    quantiles = stats.t.ppf(1 - LEVEL / 2, n - 1) + stats.t.ppf(power, n - 1)
    return float(quantiles * numbers.std(ddof=1) / math.sqrt(n))


def can_find(people: int) -> bool:
    """Whether a permutation test of so many differences has a p below the level at all.

    Where every sign is the same, as few have it by chance as any: p is 2 / 2^n.
    """
    return float(2**-people) * 2 < LEVEL


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values after Holm's correction (Scand. J. Statist. 1979), in their order.

    Raises:
        ValueError: one is not in [0, 1]. A NaN would count as one of the family and pass on.
    """
    if not all(0 <= p <= 1 for p in p_values):  # false of NaN, too
        raise ValueError("comparison: every p value must be in [0, 1]")
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def verdict(difference: float, p: float) -> Verdict:
    """What a corrected `p` allows to say of a difference."""
    if p >= LEVEL or difference == 0:
        return "cannot tell"
    return "lower" if difference < 0 else "higher"


@functools.lru_cache(maxsize=1)  # a study compares the same people over and over
def _ways(n: int) -> Numbers:
    """Signs (W, n) to flip n differences by: all there are, or as they are and `_DRAWN` others."""
    if n <= _ENUMERATED:
        return np.array(list(itertools.product((1.0, -1.0), repeat=n)))
    drawn: Numbers = np.random.default_rng(0).choice((-1, 1), (_DRAWN + 1, n)).astype(np.float64)
    drawn[0] = 1.0  # so that no p is 0 (Phipson and Smyth 2010)
    return drawn


def _slack(numbers: Numbers) -> float:
    """How far equal sums may lie apart: in another order they differ in their last bits."""
    return 1e-12 * float(np.abs(numbers).sum())
