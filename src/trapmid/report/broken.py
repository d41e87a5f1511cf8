"""Comparisons that a failed check leaves without a verdict.

A search that broke gets little, which must not pass for protection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from trapmid.metrics.statistics.comparisons import Verdict
from trapmid.report import stars
from trapmid.scoring.checks import OF_JUDGES
from trapmid.scoring.means import Comparison, Measure
from trapmid.scoring.scores import Attacks

_CANNOT: Verdict = "cannot tell"


class Side(NamedTuple):
    """One of two rates that are compared."""

    defense: str
    attack: str | None  # None: the worst of all attacks on it
    rows: Sequence[str]  # the attack runs behind the rate
    lower: bool  # whether the rate is the lower one of the two


def doubted(
    params: Mapping[str, Any], attack_runs: Attacks, measure: Measure, sides: Iterable[Side]
) -> set[str]:
    """The checks that failed of an attack of two sides, if that leaves no verdict.

    A search that did not reach what it asked for would have got more: it says nothing of a defence
    whose rate is the lower one, and one that is higher all the same would be higher still. The
    worst case of a defence is as doubtful as any attack on it.
    """
    found: set[str] = set()
    for side in sides:
        by_attack = stars.failed_by_attack(params, attack_runs, side.defense)
        among = by_attack if side.attack is None else {side.attack}
        names = {name for attack in among for name in by_attack.get(attack, ())}
        if side.lower or not stars.at_least(names):
            found |= names
        if measure == "agree":
            checks = [check for row in side.rows for check in attack_runs[row].checks.items()]
            found |= {name for name, passed in checks if not passed and name in OF_JUDGES}
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
        reason=f"a check of the attack failed: {', '.join(sorted(doubted))}",
        doubted=tuple(sorted(doubted)),
    )
