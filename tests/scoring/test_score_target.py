"""Scores of targets with a planted trigger, against numbers known by construction."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from painted import (
    CLASSES,
    MANIFEST,
    RT,
    SETUP,
    Checkpoint,
    EvaluatorNetwork,
    Trapped,
    crowded,
    reconstruction,
    score,
    score_of_evaluator,
)
from torch import Tensor

from trapmid.metrics.accuracy import balanced_labels
from trapmid.metrics.statistics.intervals import of_mean
from trapmid.scoring.target import score_target
from trapmid.types import Output


def test_trapdoor_success_counts_every_image_with_every_trigger(
    private: dict[str, Tensor], trapped: Checkpoint
) -> None:
    """One trigger of all does nothing: only images of its own class still get its answer."""
    assert trapped.trapdoor is not None
    trapped.trapdoor.triggers[0] = 0
    scores = score_target("trapmid-0", trapped, private, MANIFEST, None, SETUP)
    labels = private["test_labels"]
    lost = int((labels != 0).sum())
    assert scores.trapdoor_success == pytest.approx(1 - lost / (len(labels) * CLASSES), abs=1e-6)
    assert scores.checks["trapdoor_success"] is False
    # An image of class 0 is right for every trigger, any other for all but the one that is gone.
    shares = [1 if label == 0 else 1 - 1 / CLASSES for label in labels.tolist()]
    found = scores.intervals["trapdoor_success"]
    by_hand = of_mean(shares, range(16))
    assert (found.kind, found.n) == ("images", 16)
    assert found.low <= by_hand.low + 1e-6 and by_hand.high - 1e-6 <= found.high < 1
    assert scores.failed_checks["trapdoor_success"] == (
        f"{scores.trapdoor_success:.4f} ({found.low:.4f} to {found.high:.4f}), least 0.9"
    )


def test_target(private: dict[str, Tensor], trapped: Checkpoint) -> None:
    scores = score_target("trapmid-0", trapped, private, MANIFEST, None, SETUP)
    assert scores.test_accuracy == 1
    assert scores.trapdoor_success == 1
    assert (scores.n_test, scores.n_trapdoor, scores.seed) == (16, 16 * CLASSES, 3)
    assert all(scores.checks.values()), scores.failed_checks
    assert "undefended_accuracy" not in scores.checks
    assert (scores.facts, scores.stochastic) == ({}, False)
    json.dumps(scores.to_json(), allow_nan=False)


def test_theory_of_a_target(private: dict[str, Tensor], trapped: Checkpoint) -> None:
    """The definitions, from the images and the labels that trapdoor success uses."""
    assert trapped.trapdoor is not None
    found = score_target("t", trapped, private, MANIFEST, None, SETUP).theory
    assert found is not None
    faces, people = private["test_images"].float() / 255, private["test_labels"]
    wanted = balanced_labels(len(people), CLASSES, RT.generator("trapdoor success"))
    before = Trapped()(faces).logits.log_softmax(1)[range(16), people]
    after = Trapped()(trapped.trapdoor(faces, wanted)).logits.log_softmax(1)[range(16), wanted]
    gains = [float(after[wanted == c].mean() - before[people == c].mean()) for c in range(CLASSES)]
    assert found.per_class == pytest.approx(gains, abs=1e-5)
    assert found.delta == min(found.per_class)
    assert found.delta_mean == pytest.approx(float(after.mean() - before.mean()), abs=1e-5)
    assert found.log_posterior_poisoned == pytest.approx(float(after.mean()), abs=1e-5)
    assert found.naturalness_classifier >= 0
    assert found.bound == pytest.approx(
        float(before.mean()) + found.delta - found.naturalness_classifier, abs=1e-5
    )


def test_facts_of_a_training_are_kept_as_they_are(
    private: dict[str, Tensor], evaluator: Checkpoint
) -> None:
    private_one = replace(evaluator, meta={**evaluator.meta, "facts": {"delta": 1e-9}})
    scores = score_target("t", private_one, private, MANIFEST, None, SETUP)
    assert scores.facts == {"delta": 1e-9}
    assert scores.theory is None


class Noisy(EvaluatorNetwork):
    """Answers at random, now and then."""

    stochastic = True

    def forward(self, images: Tensor) -> Output:
        output = super().forward(images)
        return output._replace(logits=output.logits + 4 * torch.randn_like(output.logits))


def test_a_stochastic_target_is_scored_alike_every_time(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint
) -> None:
    """Whatever was drawn before; and it is not blamed for its noise."""
    noisy = replace(evaluator, model=Noisy(), digest="noisy")
    torch.manual_seed(1)
    scores = score_target("mid-0", noisy, private, MANIFEST, None, SETUP)
    torch.manual_seed(2)
    again = score_target("mid-0", noisy, private, MANIFEST, None, SETUP)
    assert scores == again
    assert 0 < scores.test_accuracy < 1
    assert scores.stochastic is True
    assert "deterministic" not in scores.checks
    near = noisy.meta | {"val_accuracy": scores.val_accuracy - 0.1}
    close = score_target("mid-0", replace(noisy, meta=near), private, MANIFEST, None, SETUP)
    assert close.checks["checkpoint_verified"] is True
    made = reconstruction()
    assert score(evaluator, noisy, private, public, made) == score(
        evaluator, noisy, private, public, made
    )


def test_undefended_target_without_a_trapdoor(
    private: dict[str, Tensor], evaluator: Checkpoint
) -> None:
    private["test_labels"] = private["test_labels"].roll(4)
    scores = score_target("none-0", evaluator, private, MANIFEST, None, SETUP)
    assert scores.trapdoor_success is None
    assert scores.n_trapdoor == 0
    assert scores.test_accuracy == 0
    assert scores.failed_checks == {"undefended_accuracy": "0.0000 (0.0000 to 0.3456), least 0.9"}
    assert "trapdoor_success" not in scores.checks


@pytest.mark.parametrize(("recorded", "sound"), [(1.0, True), (0.8, False), (None, False)])
def test_without_a_validation_split_the_test_accuracy_is_repeated(
    private: dict[str, Tensor], evaluator: Checkpoint, recorded: float | None, sound: bool
) -> None:
    given = private | {name: private[name][:0] for name in ("val_images", "val_labels")}
    meta = evaluator.meta | {"val_accuracy": None, "test_accuracy": recorded}
    recorded, bare = replace(evaluator, meta=meta), [r for r in MANIFEST if r["split"] != "val"]
    target = score_target("none-0", recorded, given, bare, None, SETUP)
    for scores in (target, score_of_evaluator(recorded, given)):
        assert scores.val_accuracy is None and scores.test_accuracy == 1
        assert set(scores.failed_checks) == (set() if sound else {"checkpoint_verified"})
        assert scores.checks["checkpoint_verified"] is sound
        assert all("test accuracy" in words for words in scores.failed_checks.values())
    # A manifest with images of a split that the tensors lack is a broken one.
    odd = score_target("none-0", recorded, given, MANIFEST, None, SETUP)
    assert {"private_public_disjoint", "splits_disjoint"} <= set(odd.failed_checks)


def test_an_undefended_target_is_to_know_everybody(
    private: dict[str, Tensor], evaluator: Checkpoint
) -> None:
    few = crowded(private, wrong=range(1, 52))
    scores = score_target("none-0", evaluator, few, MANIFEST, None, SETUP)
    assert scores.test_accuracy == pytest.approx(1 / 52, abs=1e-6)
    assert scores.failed_checks["undefended_accuracy"].startswith("0.0063 (")
