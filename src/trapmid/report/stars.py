"""Which numbers are in doubt because a check failed, and what that says of them.

A check holds an attack against what it asked, or the judges against real people. The latter says
nothing of AA-1, which no judge beside the evaluator decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trapmid.config.evaluation import FLOOR
from trapmid.report.groups import attack_run_label
from trapmid.scoring.checks import OF_JUDGES
from trapmid.scoring.scores import Attacks, Judges

STAR = "*"
"""The mark behind the number of an attack of which a check failed."""

JUDGES = "‡"
"""The mark behind what all judges agree on."""

_LOWER_BOUND = {
    "target_agreement": "the search of this attack did not reach what it asked for",
    "stand_in_agreement": "the student or copy that this attack asked knows little of the target",
}
"""Checks of an attack that would have got more where they hold, and what is said of it."""
_LOWER = "{why}, so its AA-1 is a lower bound of what this attack can get"
_BROKEN = "a validity check of this attack failed ({names}), so its number cannot be relied on"


def doubtful(params: Mapping[str, Any], attack_runs: Attacks, defense: str) -> list[str]:
    """The attacks on a defence of which a check failed, with any seed; none of the judges' checks.

    What the evaluator recognises has leaked all the same, so such an attack can be the worst case.
    """
    return sorted(attack for attack, on in failed_cells(params, attack_runs) if on == defense)


def failed_cells(
    params: Mapping[str, Any], attack_runs: Attacks
) -> dict[tuple[str, str], set[str]]:
    """By attack and defence: the checks that failed, with any seed; without the judges' checks.

    What none failed of is not there, nor is the floor.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for row, block in params["attack_runs"].items():
        names = failed(attack_runs[row].checks)
        if names and block["attack"] != FLOOR:
            cell = (str(block["attack"]), attack_run_label(params, block))
            found.setdefault(cell, set()).update(names)
    return found


def at_least(names: Iterable[str]) -> bool:
    """Whether an attack of which these checks failed has at least leaked what its number says."""
    return set(names) <= _LOWER_BOUND.keys()


def meaning(params: Mapping[str, Any], attack_runs: Attacks) -> str:
    """What a star says in this study, by the checks that failed; ends without a full stop."""
    found = {
        name
        for row, block in params["attack_runs"].items()
        if block["attack"] != FLOOR
        for name in failed(attack_runs[row].checks)
    }
    lower = [_LOWER.format(why=why) for name, why in _LOWER_BOUND.items() if name in found]
    others = ", ".join(sorted(name.replace("_", " ") for name in found - _LOWER_BOUND.keys()))
    return "; or ".join([*lower, *[_BROKEN.format(names=others)] * bool(others)])


def judged_in_doubt(
    params: Mapping[str, Any], attack_runs: Attacks, judges: Judges
) -> dict[tuple[str, str], list[str]]:
    """By attack and defence: the failed checks of the judges that were asked about it."""
    found: dict[tuple[str, str], list[str]] = {}
    for row, block in params["attack_runs"].items():
        wrong = [name for name in OF_JUDGES if not attack_runs[row].checks.get(name, True)]
        for key in ("verifier", "identity"):
            judge = judges.get(Path(block[key]).stem)
            wrong += [name for name, passed in judge.checks.items() if not passed] if judge else []
        if wrong and attack_runs[row].judges is not None:
            cell = (block["attack"], attack_run_label(params, block))
            found[cell] = sorted({*found.get(cell, ()), *wrong})
    return found


def about_judges(doubts: Iterable[Iterable[str]]) -> str:
    """What the mark of the judges says; nothing where no check of theirs failed."""
    names = sorted({name.replace("_", " ") for one in doubts for name in one})
    if not names:
        return ""
    return (
        f"{JUDGES}: a check of the judges failed ({', '.join(names)}), so what all judges agree on "
        "says little. It says nothing of AA-1."
    )


def failed(checks: Mapping[str, bool]) -> list[str]:
    """The checks of an attack that failed; the judges' are left out."""
    return [name for name, passed in checks.items() if not passed and name not in OF_JUDGES]
