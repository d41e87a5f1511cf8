"""Scores of an evaluator, and the ceiling of the table."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest
from painted import CLASSES, Checkpoint, crowded, score_of_evaluator
from torch import Tensor


def test_a_checkpoint_that_does_not_repeat_its_accuracy_is_seen(
    private: dict[str, Tensor], evaluator: Checkpoint
) -> None:
    changed = replace(evaluator, meta={**evaluator.meta, "val_accuracy": 0.8})
    scores = score_of_evaluator(changed, private)
    assert scores.checks["checkpoint_verified"] is False
    assert "recorded 0.8, measured 1.0" in scores.failed_checks["checkpoint_verified"]


def test_evaluator_and_ceiling(private: dict[str, Tensor], evaluator: Checkpoint) -> None:
    scores = score_of_evaluator(evaluator, private)
    assert scores.test_accuracy == scores.val_accuracy == 1
    ceiling = scores.ceiling
    assert (ceiling.aa1, ceiling.aa5, ceiling.n_success, ceiling.n) == (1, 1, 16, 16)
    test, train = (private[f"{s}_images"].float().mean(dim=(2, 3)) / 255 for s in ("test", "train"))
    nearest = [
        min(
            float((a - b).square().sum())
            for b, other in zip(train, private["train_labels"], strict=True)
            if other == label
        )
        for a, label in zip(test, private["test_labels"], strict=True)
    ]
    assert ceiling.knn_dist == pytest.approx(statistics.mean(nearest), abs=2e-6)
    assert 0 <= ceiling.frechet < 0.01


def test_people_without_a_test_image_are_counted_in_the_message(
    private: dict[str, Tensor], evaluator: Checkpoint
) -> None:
    kept = private["test_labels"] != 0
    fewer = private | {
        "test_images": private["test_images"][kept],
        # Everybody's label is another one, so that the check fails; nobody's is 0.
        "test_labels": 1 + private["test_labels"][kept] % int(private["test_labels"].max()),
    }
    scores = score_of_evaluator(evaluator, fewer)
    assert scores.failed_checks["evaluator_accuracy"].endswith("; 1 people have no test image")


def test_what_an_attack_is_held_against_counts_everybody_once(
    private: dict[str, Tensor], evaluator: Checkpoint
) -> None:
    """One of four people has 40 of 52 images and is known, nobody else is: 77 % of the images."""
    scores = score_of_evaluator(evaluator, crowded(private, wrong=range(40, 52)))
    assert scores.test_accuracy == pytest.approx(40 / 52, abs=1e-6)
    assert scores.ceiling.aa1 == 1 / CLASSES
    assert scores.ceiling.aa5 == 1  # of four classes


def test_an_evaluator_that_knows_one_image_of_whom_there_are_most_is_refused_by_people(
    private: dict[str, Tensor], evaluator: Checkpoint
) -> None:
    scores = score_of_evaluator(evaluator, crowded(private, wrong=range(1, 52)))
    assert scores.test_accuracy == pytest.approx(1 / 52, abs=1e-6)
    assert scores.failed_checks["evaluator_accuracy"].startswith("0.0063 (")  # 1/40 of a fourth
    # Four people's shares are surer than images of which three in four are one person's
    assert 0.0063 < scores.ceiling.intervals["aa1"].high < scores.intervals["test_accuracy"].high
