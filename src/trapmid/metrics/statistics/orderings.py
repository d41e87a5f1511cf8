"""Do two orderings agree? Kendall's tau with an exact p and an interval."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from trapmid.metrics.statistics.intervals import CONFIDENCE
from trapmid.metrics.statistics.values import Numbers, finite

_ENUMERATED = 8  # items whose 40,320 orders are all tried


class RankAgreement(NamedTuple):
    """How far two orderings of the same items agree."""

    tau: float  # Kendall's tau-b, in [-1, 1]
    p: float  # two-sided; three items in one order: 1/3
    low: float | None  # of the 95 % interval; None: fewer than five items, or tau is 1 or -1
    high: float | None
    n: int


def agreement(first: npt.ArrayLike, second: npt.ArrayLike) -> RankAgreement | None:
    """Kendall's tau-b of two lists of numbers (n,) about the same items.

    The p is exact up to eight items, ties included (SciPy's `exact` takes none); beyond, SciPy
    chooses. The interval is Fisher's z with variance 0.437 / (n - 4) (Fieller, Hartley and Pearson,
    Biometrika 1957).

    Returns:
        None: fewer than two items, or all of one list are tied; there is no ordering.

    Raises:
        ValueError: the lists differ in length, or a number is not finite.
    """
    x, y = finite(first), finite(second)
    if len(x) != len(y):
        raise ValueError(f"orderings: {len(x)} and {len(y)} items")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    found = stats.kendalltau(x, y)
    tau, n = round(float(found.statistic), 12), len(x)  # SciPy's 1 may be 0.9999999999999999
    p = _exact_p(x, y) if n <= _ENUMERATED else float(found.pvalue)
    if n < 5 or abs(tau) > 1 - 1e-12:
        return RankAgreement(tau, p, None, None, n)
    reach = stats.norm.ppf((1 + CONFIDENCE) / 2) * math.sqrt(0.437 / (n - 4))
    z = math.atanh(tau)
    return RankAgreement(tau, p, math.tanh(z - reach), math.tanh(z + reach), n)


def _exact_p(x: Numbers, y: Numbers) -> float:
    """The share of all orders of `y` that agree, or disagree, with `x` at least as much."""
    left, right = np.triu_indices(len(x), k=1)
    wanted, signs = np.sign(x[left] - x[right]), np.sign(y[:, None] - y[None, :])
    orders = np.array(list(itertools.permutations(range(len(y)))))
    sums = np.abs(signs[orders[:, left], orders[:, right]] @ wanted)
    return float((sums >= abs(signs[left, right] @ wanted)).mean())
