"""What one evaluator is worth, and the ceiling of the results table."""

from __future__ import annotations

import torch

from trapmid.metrics.features import Description
from trapmid.scoring import checks
from trapmid.scoring.described import Private, Setup, examine
from trapmid.scoring.recognition import Evaluator, Shown, recognise
from trapmid.scoring.scores import EvaluatorScores, Recognition, rounded


def score_evaluator(
    row: str, evaluator: Evaluator, private: Private, setup: Setup
) -> EvaluatorScores:
    """Scores of one evaluator, and the table's ceiling: real test images scored as an attack."""
    examined = examine(evaluator.loaded, private, setup)
    least = setup.bounds.evaluator_accuracy
    found = examined.test_accuracy, examined.interval
    accurate = checks.reaches("evaluator_accuracy", *found, least)
    results = [*examined.checks, accurate]
    return rounded(
        EvaluatorScores(
            row=row,
            test_accuracy=examined.test_accuracy,
            val_accuracy=examined.val_accuracy,
            n_test=len(private["test_labels"]),
            intervals={"test_accuracy": examined.interval},
            ceiling=_ceiling(evaluator, private, examined.test, setup),
            checks=checks.verdicts(results),
            failed_checks=checks.failures(results),
        )
    )


def _ceiling(
    evaluator: Evaluator, private: Private, described: Description, setup: Setup
) -> Recognition:
    """The real test images, which `described` describes already, scored as an attack's."""
    labels = private["test_labels"]
    real = Shown(private["test_images"], labels, torch.ones(len(labels), dtype=torch.bool))
    return recognise(evaluator, real, setup, described).recognition()
