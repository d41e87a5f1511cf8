"""What an evaluator says of images whose ranks are known."""

from __future__ import annotations

import pytest
import torch
from painted import SETUP, SIZE, Checkpoint, EvaluatorNetwork

from trapmid.metrics.features import Description
from trapmid.scoring.described import Shown
from trapmid.scoring.papers import as_published
from trapmid.scoring.recognition import Evaluator, recognise
from trapmid.scoring.references import EvaluatorReference
from trapmid.types import PaperScoring

PEOPLE = 7


def test_a_hit_is_the_first_class_and_one_of_the_first_five() -> None:
    """One image of each of seven people: the evaluator puts person i at rank i + 1."""
    people = torch.arange(PEOPLE)
    logits = torch.zeros(PEOPLE, PEOPLE)
    for row in range(PEOPLE):
        others = [person for person in range(PEOPLE) if person != row]
        ranked = [*others[:row], row, *others[row:]]
        logits[row, ranked] = -torch.arange(PEOPLE, dtype=torch.float32)
    features = torch.eye(PEOPLE)
    loaded = Checkpoint(EvaluatorNetwork(), None, {}, "")
    evaluator = Evaluator(loaded, EvaluatorReference(features, people, None, features, ""))
    found = torch.ones(PEOPLE, dtype=torch.bool)
    shown = Shown(torch.zeros(PEOPLE, 3, SIZE, SIZE), people, torch.zeros_like(people), found)

    standard = recognise(evaluator, shown, SETUP, described=Description(logits, features))
    assert standard.hit.tolist() == [True] + [False] * 6
    assert standard.hit5.tolist() == [True] * 5 + [False] * 2
    rates = standard.recognition()
    assert (rates.aa1, rates.aa5) == pytest.approx((1 / 7, 5 / 7))

    scoring = PaperScoring(
        batch=PEOPLE,
        deviation="root_of_mean_variance",
        aa5="all_draws",
        accuracy="floats",
        distances=None,
        frechet_batch=None,
    )
    paper = as_published(scoring, evaluator, shown, standard, None, SETUP)
    assert (paper.aa1, paper.aa5) == pytest.approx((1 / 7, 5 / 7))
