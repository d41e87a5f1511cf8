"""What one evaluator is worth, and the ceiling of the results table."""

from __future__ import annotations

from trapmid.scoring import checks
from trapmid.scoring.described import Private, Setup, Shown, examine
from trapmid.scoring.fidelity import fidelity
from trapmid.scoring.recognition import Evaluator, recognise
from trapmid.scoring.scores import EvaluatorScores, rounded


def score_evaluator(
    row: str, evaluator: Evaluator, private: Private, setup: Setup
) -> EvaluatorScores:
    """Scores of one evaluator, and the table's ceiling: real test images scored as an attack."""
    examined = examine(evaluator.loaded, private, setup)
    least = setup.bounds.evaluator_accuracy
    accurate = checks.reaches("evaluator_accuracy", *examined.knows, least)
    if untested := evaluator.loaded.model.num_classes - len(private["test_labels"].unique()):
        detail = f"{accurate.detail}; {untested} people have no test image"
        accurate = accurate._replace(detail=detail)
    results = [*examined.checks, accurate]
    real = Shown.real(private, "test")
    recognised = recognise(evaluator, real, setup, examined.test)
    reference = evaluator.reference
    return rounded(
        EvaluatorScores(
            row=row,
            test_accuracy=examined.test_accuracy,
            val_accuracy=examined.val_accuracy,
            n_test=len(private["test_labels"]),
            intervals={"test_accuracy": examined.interval},
            ceiling=recognised.recognition(),
            ceiling_fidelity=fidelity(recognised, real, reference, reference.public, setup),
            checks=checks.verdicts(results),
            failed_checks=checks.failures(results),
        )
    )
