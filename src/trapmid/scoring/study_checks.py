"""The checks of a whole study: those of its rows merged, and those that need several rows."""

from __future__ import annotations

import math
from collections.abc import Mapping

from trapmid.config.evaluation import UNDEFENDED, Checks
from trapmid.scoring.checks import (
    EXPLANATIONS,
    FLOOR_ATTACK,
    OF_DEFENSES,
    OF_JUDGES,
    OF_TRAPDOORS,
    Check,
)
from trapmid.scoring.scores import Attacks, Evaluators, Judges, RowScores, Targets


def study(
    evaluators: Evaluators,
    targets: Targets,
    attack_runs: Attacks,
    bounds: Checks,
    judges: Judges | None = None,
) -> list[Check]:
    """Every check of the study, in the order of `EXPLANATIONS`: passed where it holds everywhere.

    Needs the rows of params.yaml, all of them. A check that no row answers is failed; one of judges
    is left out where no row has it, and so is one of trapdoors where no target has one.
    """
    of_several_rows = {
        "positive_control": _positive_control(targets, attack_runs, bounds.positive_control),
        "floor_below_ceiling": _floor_below_ceiling(evaluators, attack_runs),
    }
    rows: dict[str, RowScores] = {
        f"{scores.section}/{row}": scores
        for part in (evaluators, targets, attack_runs, judges or {})
        for row, scores in part.items()
    }
    asked = {name for scores in rows.values() for name in scores.checks}
    trapped = not targets or any(one.trapdoor_success is not None for one in targets.values())
    return [
        of_several_rows.get(name) or _merged(name, rows)
        for name in EXPLANATIONS
        if name in asked
        or not (name in (*OF_JUDGES, *OF_DEFENSES) or (name in OF_TRAPDOORS and not trapped))
    ]


def _merged(name: str, rows: Mapping[str, RowScores]) -> Check:
    """One verdict of all rows that carry the check; without any, it fails."""
    answers = {row: s.checks[name] for row, s in rows.items() if name in s.checks}
    wrong = [row for row, passed in answers.items() if not passed]
    detail = f"failed by {', '.join(wrong)}" if wrong else f"{len(answers)} rows"
    return Check(name, bool(answers) and not wrong, detail)


def _positive_control(targets: Targets, attack_runs: Attacks, bound: float) -> Check:
    """Each undefended target is attacked, and its worst AA-1 reaches the bound.

    An attack on a part of the people does not count: it leaves out whom it cannot find.
    """
    whole = [scores for scores in attack_runs.values() if not scores.left_out]
    best = {
        row: max((one.aa1 for one in whole if one.target == row), default=-math.inf)
        for row, scores in targets.items()
        if scores.defense == UNDEFENDED
    }
    passed = bool(best) and min(best.values()) >= bound
    shown = ", ".join(f"{row} {value:.3f}" for row, value in best.items()) or "no undefended target"
    return Check("positive_control", passed, f"strongest AA-1: {shown}; least {bound}")


def _floor_below_ceiling(evaluators: Evaluators, attack_runs: Attacks) -> Check:
    """Every floor attack run is below the ceiling of the evaluator that judged it."""
    pairs = []
    for row, scores in attack_runs.items():
        if scores.attack == FLOOR_ATTACK:
            evaluator = evaluators.get(scores.protocol.evaluator)
            pairs.append((row, scores.aa1, evaluator.ceiling.aa1 if evaluator else -math.inf))
    shown = ", ".join(f"{row} {floor:.3f} < {top:.3f}" for row, floor, top in pairs)
    passed = bool(pairs) and all(floor < top for _, floor, top in pairs)
    return Check("floor_below_ceiling", passed, shown or "no attack run at the floor")
