"""The checks of a whole study: those of its rows merged, and those that need several rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from trapmid.config.evaluation import FLOOR, UNDEFENDED, Checks
from trapmid.scoring.checks import (
    EXPLANATIONS,
    OF_DEFENSES,
    OF_JUDGES,
    OF_STAND_INS,
    OF_TRAPDOORS,
    Check,
)
from trapmid.scoring.scores import (
    Attacks,
    AttackScores,
    Evaluators,
    EvaluatorScores,
    Judges,
    JudgeScores,
    RowScores,
    Targets,
    TargetScores,
)

_NAMED = 3  # rows that failed a check, by name
_LEAST = {
    "evaluator_accuracy": "evaluator_accuracy",
    "undefended_accuracy": "target_accuracy",
    "trapdoor_success": "trapdoor_success",
    "target_agreement": "target_agreement",
    "stand_in_agreement": "stand_in_agreement",
    "reader_recognises_real": "reader_recognises_real",
}
"""By check, the field of `Checks` that bounds the numbers of its rows from below."""


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
        of_several_rows.get(name) or _merged(name, rows, bounds)
        for name in EXPLANATIONS
        if name in asked
        or not (
            name in (*OF_JUDGES, *OF_DEFENSES, *OF_STAND_INS)
            or (name in OF_TRAPDOORS and not trapped)
        )
    ]


def _merged(name: str, rows: Mapping[str, RowScores], bounds: Checks) -> Check:
    """One verdict of all rows that carry the check; without any, it fails."""
    answers = {row: s.checks[name] for row, s in rows.items() if name in s.checks}
    wrong = [row for row, passed in answers.items() if not passed]
    numbers = [_number(name, rows[row]) for row in answers]
    detail = f"failed by {_listed(wrong)}" if wrong else _held(name, numbers, bounds)
    return Check(name, bool(answers) and not wrong, detail)


def _listed(rows: Sequence[str]) -> str:
    """The first rows by name; what each found stands in its own scores."""
    more = len(rows) - _NAMED
    return ", ".join(rows[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _held(name: str, numbers: Sequence[float | None], bounds: Checks) -> str:
    """How many rows passed, and what the check saw of them where their scores have the number."""
    rows = f"{len(numbers)} row{'s' * (len(numbers) != 1)}"
    seen = sorted(number for number in numbers if number is not None)
    if not seen:
        return rows
    ends = dict.fromkeys(f"{one:.4f}" for one in (seen[0], seen[-1]))
    least = f", least {getattr(bounds, _LEAST[name])}" if name in _LEAST else ""
    return f"{rows}: {' to '.join(ends)}{least}"


def _number(name: str, scores: RowScores) -> float | None:
    """What a row's check looked at; None: it is no number, or the scores do not have it."""
    match name, scores:
        case "evaluator_accuracy", EvaluatorScores():
            return scores.ceiling.aa1
        case "undefended_accuracy", TargetScores():
            return scores.balanced_accuracy
        case "trapdoor_success", TargetScores():
            return scores.trapdoor_success
        case "target_agreement", AttackScores():
            return scores.coverage * (scores.queried_agreement or 0.0)
        case "stand_in_agreement", AttackScores():
            return scores.stand_in_agreement
        case "floor_is_chance", AttackScores():
            return scores.aa1
        case "blank_images_refused", JudgeScores():
            return None if scores.verifier is None else scores.verifier.blanks_accepted
        case "reader_recognises_real", JudgeScores():
            return None if scores.identity is None else scores.identity.aa1
    return None


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
        if scores.attack == FLOOR:
            evaluator = evaluators.get(scores.protocol.evaluator)
            pairs.append((row, scores.aa1, evaluator.ceiling.aa1 if evaluator else -math.inf))
    shown = ", ".join(f"{row} {floor:.3f} < {top:.3f}" for row, floor, top in pairs)
    passed = bool(pairs) and all(floor < top for _, floor, top in pairs)
    return Check("floor_below_ceiling", passed, shown or "no attack run at the floor")
