"""Orderings: which defence leaks less, which attack gets more, by the paper and by a study.

An ordering can agree where no number can be compared, on other faces or another network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from trapmid.report.published.comparison import Comparison

_ALL = 8
"""Of so many values with ties all orders are looked at: 40,320."""


class Setting(NamedTuple):
    """What the published numbers of one ordering share."""

    public: str
    architecture: str


class Agreement(NamedTuple):
    """Kendall's rank correlation; None: one side has no order at all."""

    tau: float | None  # tau-b
    p: float | None  # two-sided, of no association


class Ordering(NamedTuple):
    """The AA-1 of several defences under one attack, or of several attacks on one defence."""

    setting: Setting
    fixed: str  # the attack, or the defence
    of: str  # defences | attacks
    names: tuple[str, ...]  # those that both have, in the paper's order
    published: tuple[float, ...]
    ours: tuple[float, ...]
    agreement: Agreement


def agreement(ours: Sequence[float], published: Sequence[float]) -> Agreement:
    """Kendall's tau-b of two orderings and its exact p.

    Without ties p counts all orders of n by SciPy's recursion; with ties all orders of the values
    that there are, and of more than eight it is SciPy's normal approximation.

    Raises:
        ValueError: the two have different lengths, or fewer than two values.
    """
    if len(ours) != len(published) or len(ours) < 2:
        raise ValueError(f"orderings of {len(ours)} and {len(published)} values")
    distinct = len(set(ours)), len(set(published))
    if 1 in distinct:
        return Agreement(None, None)
    tied = min(distinct) < len(ours)
    found = stats.kendalltau(ours, published, method="asymptotic" if tied else "exact")
    counted = tied and len(ours) <= _ALL
    p = _tied_p(ours, published) if counted else float(found.pvalue)
    return Agreement(round(float(found.statistic), 12), p)  # SciPy's 1 may be 0.9999999999999999


def _tied_p(ours: Sequence[float], published: Sequence[float]) -> float:
    """Tau-b's denominator is the same for every order, so concordant minus discordant will do."""
    signs = _signs(np.asarray(published, dtype=float))

    def score(values: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        moved = np.moveaxis(np.asarray(values, dtype=float), axis, -1)
        total: NDArray[np.float64] = (_signs(moved) * signs).sum(axis=(-1, -2)) / 2
        return total

    found = stats.permutation_test(
        (np.asarray(ours, dtype=float),),
        score,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=np.inf,
        batch=10_000,
    )
    return float(found.pvalue)


def _signs(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., n) values -> (..., n, n): which of a pair is larger."""
    return np.sign(values[..., :, None] - values[..., None, :])


def orderings(compared: Iterable[Comparison]) -> list[Ordering]:
    """Of every published setting the defences by attack, then the attacks by defence.

    Where the paper prints a cell in several tables, the first one counts. The best and worst of
    several targets are no part of it.
    """
    cells: dict[Setting, dict[tuple[str, str], Comparison]] = {}
    for one in compared:
        number = one.number
        if number.metric == "aa1" and number.target in ("mean", "one"):
            setting = Setting(number.public, number.architecture)
            cell = (number.attack, number.defence)
            cells.setdefault(setting, {}).setdefault(cell, one)
    return [one for setting, found in cells.items() for one in _of_setting(setting, found)]


def _of_setting(setting: Setting, cells: Mapping[tuple[str, str], Comparison]) -> list[Ordering]:
    lines: list[tuple[str, str, dict[str, Comparison]]] = []
    for attack in dict.fromkeys(attack for attack, _ in cells):
        lines.append((attack, "defences", {d: one for (a, d), one in cells.items() if a == attack}))
    for defence in dict.fromkeys(defence for _, defence in cells):
        lines.append(
            (defence, "attacks", {a: one for (a, d), one in cells.items() if d == defence})
        )
    found = [_ordering(setting, fixed, of, line) for fixed, of, line in lines]
    return [one for one in found if one is not None]


def _ordering(
    setting: Setting, fixed: str, of: str, line: Mapping[str, Comparison]
) -> Ordering | None:
    """None: fewer than two are known to both."""
    both = {name: one for name, one in line.items() if one.ours is not None}
    if len(both) < 2:
        return None
    published = tuple(one.number.amount for one in both.values())
    ours = tuple(one.ours.value for one in both.values() if one.ours is not None)
    return Ordering(setting, fixed, of, tuple(both), published, ours, agreement(ours, published))
