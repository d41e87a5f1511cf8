"""Orderings: which defence leaks less, which attack gets more, by the paper and by a study.

An ordering can agree where no number can be compared, on other faces or another network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from trapmid.metrics.statistics.orderings import RankAgreement, agreement
from trapmid.report.published.comparison import Comparison


class Setting(NamedTuple):
    """What the published numbers of one ordering share."""

    public: str
    architecture: str


class Ordering(NamedTuple):
    """The AA-1 of several defences under one attack, or of several attacks on one defence."""

    setting: Setting
    fixed: str  # the attack, or the defence
    of: str  # defences | attacks
    names: tuple[str, ...]  # those that both have, in the paper's order
    published: tuple[float, ...]
    ours: tuple[float, ...]
    agreement: RankAgreement | None  # None: one side has no order at all


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
