"""Comparisons that a failed check leaves without a verdict.

A search that broke gets little, which must not pass for protection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from trapmid.metrics.statistics.comparisons import Verdict
from trapmid.report import stars
from trapmid.report.marks import Cell
from trapmid.scoring.means import Comparison, Measure

_CANNOT: Verdict = "cannot tell"

Failed = Mapping[Cell, Collection[str]]
"""The checks that failed, by the cell of the matrix."""


class Side(NamedTuple):
    """One of two rates that are compared."""

    defense: str
    attack: str  # whose rate it is
    worst: bool  # as the worst of all attacks on the defence
    lower: bool  # whether the rate is the lower one of the two

    def rests_on(self, attack: str) -> bool:
        """Whether a failed check of this attack makes the rate doubtful."""
        return self.worst or attack == self.attack


def doubted(failed: Failed, judged: Failed, measure: Measure, sides: Iterable[Side]) -> set[str]:
    """The checks that failed of what is compared, if that leaves no verdict.

    A search that did not reach what it asked for would have got more: it says nothing of a defence
    whose rate is the lower one, and one that is higher all the same would be higher still. The
    worst case of a defence is as doubtful as any attack on it.

    Args:
        failed: by attack and defence, the checks of the attack that failed, `stars.failed_cells`.
        judged: likewise of the judges that were asked, `stars.judged_in_doubt`.
        measure: whose word is compared.
        sides: both.
    """
    found: set[str] = set()
    for side in sides:
        names = {
            name
            for (attack, defense), some in failed.items()
            if defense == side.defense and side.rests_on(attack)
            for name in some
        }
        if side.lower or not stars.at_least(names):
            found |= names
        if measure == "agree":
            found |= set(judged.get((side.attack, side.defense), ()))
    return found


def without_verdict(found: Comparison, doubted: set[str]) -> Comparison:
    """The same, and no verdict where there are such checks."""
    if not doubted:
        return found
    return replace(
        found,
        these_targets=replace(found.these_targets, verdict=_CANNOT),
        over_seeds=found.over_seeds and replace(found.over_seeds, verdict=_CANNOT),
        verdict=_CANNOT,
        reason=f"a check failed: {', '.join(sorted(doubted))}",
        doubted=tuple(sorted(doubted)),
    )
