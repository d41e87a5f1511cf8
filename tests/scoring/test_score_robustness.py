"""Robust accuracy of targets whose robustness is known, and what shows that an attack is none."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from painted import (
    CLASSES,
    COLOURS,
    EVALUATION,
    MANIFEST,
    SETUP,
    SIZE,
    Checkpoint,
    EvaluatorNetwork,
    stored,
)
from sklearn.metrics import roc_auc_score
from torch import Tensor

from trapmid.metrics.features import as_float
from trapmid.metrics.robustness import Robustness
from trapmid.metrics.statistics.intervals import of_rate, wilson
from trapmid.scoring import references, robustness
from trapmid.scoring.described import describe
from trapmid.scoring.references import SignatureReference
from trapmid.scoring.robustness import Ball, Extremes, attack_strength, detection, measure
from trapmid.scoring.target import score_target
from trapmid.types import Output, Target


def flat(depths: Tensor) -> dict[str, Tensor]:
    """One flat test image of each class and depth: how grey its colour is, 0 not, 1 altogether."""
    colours = COLOURS.repeat_interleave(len(depths), 0)
    shades = colours + depths.repeat(CLASSES)[:, None] * (0.5 - colours)
    images = stored(shades[:, :, None, None].expand(-1, -1, SIZE, SIZE))
    labels = torch.arange(CLASSES).repeat_interleave(len(depths))
    return {"test_images": images, "test_labels": labels}


def robust(target: Target, private: dict[str, Tensor], *radii: float, batch_size: int = 7):
    evaluation = replace(EVALUATION, robust_radii=radii, batch_size=batch_size)
    setup = SETUP._replace(evaluation=evaluation)
    loaded = Checkpoint(target, None, {}, "")
    return measure(loaded, private, describe(loaded, private["test_images"], setup), setup)


class Plane(Target):
    """Two classes on both sides of a plane, the one with the known margin of every image."""

    num_classes = 2

    def __init__(self) -> None:
        super().__init__()
        self.slope = torch.linspace(-1, 1, 3 * SIZE * SIZE).square()
        self.eval()

    def forward(self, images: Tensor) -> Output:
        side = (images - 0.5).flatten(1) @ self.slope
        return Output(torch.stack([-side, side], 1), images.flatten(1))


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_robust_accuracy_counts_the_margins(batch_size: int) -> None:
    """In Linf the margin of w x is |w x| / |w|_1, the least radius that changes the side."""
    generator = torch.Generator().manual_seed(0)
    shades = torch.linspace(0.35, 0.65, 20)[:, None, None, None]
    noise = 0.2 * torch.rand(20, 3, SIZE, SIZE, generator=generator) - 0.1
    images, plane = stored(shades + noise), Plane()
    side = (as_float(images).double() - 0.5).flatten(1) @ plane.slope.double()
    margins, labels = side.abs() / plane.slope.double().sum(), (side > 0).long()
    radii = (0.02, 0.05, 0.1)
    assert all(((margins - radius).abs() > 1e-4).all() for radius in radii)
    private = {"test_images": images, "test_labels": labels}
    found = robust(plane, private, *radii, batch_size=batch_size)
    for radius in radii:
        held = margins > radius
        assert found.robustness.robust_accuracy[f"{radius:g}"] == held.double().mean()
        ends = found.robustness.intervals[f"robust_accuracy.{radius:g}"]
        assert ends == of_rate(held, labels)
    assert len(set(found.robustness.robust_accuracy.values())) == 3
    assert found.robustness.clean_accuracy == 1
    assert found.check.passed, found.check.detail


def test_what_is_misread_already_is_not_robust() -> None:
    """The attack may move it anywhere, its own class included."""
    private = flat(torch.tensor([0.0, 0.3]))
    private["test_labels"] = private["test_labels"].roll(2)
    found = robust(EvaluatorNetwork(), private, 0.01, 0.5).robustness
    assert (found.clean_accuracy, set(found.robust_accuracy.values())) == (0, {0})


class Masked(EvaluatorNetwork):
    """The same answers, so sure of them that the cross-entropy has no slope in single precision."""

    def forward(self, images: Tensor) -> Output:
        output = super().forward(images)
        return output._replace(logits=1e5 * output.logits)


class Stairs(EvaluatorNetwork):
    """The same answers on pixels rounded to 8 bits, whose gradient is zero."""

    def forward(self, images: Tensor) -> Output:
        return super().forward((images * 255).round() / 255)


@pytest.mark.parametrize("network", [Masked, Stairs])
def test_a_masked_gradient_looks_robust_and_is_found_out(network: type[Target]) -> None:
    private = flat(torch.tensor([0.0, 0.2, 0.4, 0.5]))
    honest = robust(EvaluatorNetwork(), private, 0.1)
    masked = robust(network(), private, 0.1)
    rates = [one.robustness.robust_accuracy["0.1"] for one in (honest, masked)]
    assert rates[1] > rates[0]
    assert masked.robustness.clean_accuracy == honest.robustness.clean_accuracy == 1
    assert not masked.check.passed
    assert masked.check.name == "attack_strength"
    assert masked.check.detail.endswith("of a few images 1.0000, at 0 1.0000, far 1.0000")


class Fragile(Target):
    """Two classes, the second where neighbours differ by 20 steps of 8 bits; no slope anywhere."""

    num_classes = 2

    def forward(self, images: Tensor) -> Output:
        rough = (images * 255).round().diff(dim=3).abs().mean(dim=(1, 2, 3))
        return Output(torch.stack([20 - rough, rough - 20], 1), rough[:, None])


def test_noise_alone_does_not_prove_the_attack() -> None:
    """A random start far from a flat image is misread by itself: neighbours differ by 85 there.

    So the attack of the check begins at the image, which a masked gradient then never leaves.
    """
    greys = torch.linspace(0.4, 0.6, 16)[:, None, None, None].expand(-1, 3, SIZE, SIZE)
    private = {"test_images": stored(greys), "test_labels": torch.zeros(16, dtype=torch.int64)}
    check = robust(Fragile(), private, 0.01).check
    assert not check.passed
    assert check.detail.endswith("of a few images 1.0000, at 0 1.0000, far 1.0000")


def test_a_failed_check_of_the_attack_is_in_the_scores(
    private: dict[str, Tensor], evaluator: Checkpoint
) -> None:
    masked = replace(evaluator, model=Stairs(), digest="stairs")
    scores = score_target("none-0", masked, private, MANIFEST, None, SETUP)
    assert scores.checks["attack_strength"] is False
    assert "far 1.0000" in scores.failed_checks["attack_strength"]
    sound = score_target("none-0", evaluator, private, MANIFEST, None, SETUP)
    assert sound.checks["attack_strength"] is True


GOOD = Extremes(clean=1.0, unmoved=1.0, far=0.0)


def curve(*hits: int) -> Robustness:
    rates = {str(i): hit / 50 for i, hit in enumerate(hits)}
    ends = {f"robust_accuracy.{i}": wilson(hit, 50) for i, hit in enumerate(hits)}
    return Robustness(clean_accuracy=1.0, robust_accuracy=rates, intervals=ends)


@pytest.mark.parametrize(
    ("found", "few", "passed"),
    [
        (curve(40, 20, 0), GOOD, True),
        (curve(40, 40), GOOD, True),  # a small radius may change nothing
        (curve(40, 42), GOOD, True),  # within the interval of 40: 0.6696 to 0.8876
        (curve(40, 45), GOOD, False),
        (curve(40, 20, 30), GOOD, False),  # below the first, but above the second
        (curve(40, 20), GOOD._replace(unmoved=0.9375), False),
        (curve(40, 20), GOOD._replace(far=0.0625), False),
    ],
)
def test_attack_strength(found: Robustness, few: Extremes, passed: bool) -> None:
    assert attack_strength(found, few).passed is passed


class Caged(Target):
    """Two classes by the red of the first pixel; the second feature sees whatever else moves."""

    num_classes = 2

    def forward(self, images: Tensor) -> Output:
        red = images[:, 0, 0, 0]
        rest = images[:, 1].mean(dim=(1, 2))
        return Output(torch.stack([0.5 - red, red - 0.5], 1) * 9, torch.stack([red, rest], 1))


def test_detection_of_examples_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four images of which the attack changes two; the signature is the first feature's axis."""
    monkeypatch.setattr(robustness, "PAPER_BALLS", (Ball("linf", 0.1),))
    images = torch.full((4, 3, SIZE, SIZE), 200, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.tensor([120, 135, 10, 140])  # the last one is misread already
    private = {"test_images": images, "test_labels": torch.tensor([0, 1, 0, 0])}
    loaded = Checkpoint(Caged().eval(), None, {}, "")
    reference = SignatureReference(
        centres=torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64),
        train=torch.linspace(0, 0.6, 101, dtype=torch.float64),  # threshold at 5 %: 0.57
        poisoned=torch.empty(0),
        public=torch.empty(0),
        public_digest="",
    )
    clean = describe(loaded, images, SETUP)
    (found,) = detection(loaded, private, clean, reference, SETUP)

    def cosine(red: float) -> float:
        return red / math.hypot(red, 200 / 255)

    before = [cosine(red / 255) for red in (120, 135, 10, 140)]
    after = [cosine(120 / 255 + 0.1), cosine(135 / 255 - 0.1), *before[2:]]
    assert [one > 0.57 for one in before] == [False, False, False, True]
    assert [one > 0.57 for one in after] == [True, False, False, True]
    assert found.every.n == 4 and found.changed is not None and found.changed.n == 2
    assert (found.every.recall, found.every.fpr, found.every.success_rate) == (0.5, 0.25, 0.625)
    assert found.every.auc == sklearn_auc(before, after)
    assert (found.changed.recall, found.changed.fpr, found.changed.success_rate) == (0.5, 0, 0.75)
    assert found.changed.auc == sklearn_auc(before[:2], after[:2])
    people = private["test_labels"]
    assert found.every.intervals["recall"] == of_rate([1, 0, 0, 1], people)
    assert found.changed.intervals["fpr"] == of_rate([0, 0], people[:2])


def sklearn_auc(negatives: list[float], positives: list[float]) -> float:
    truth = [0] * len(negatives) + [1] * len(positives)
    return float(roc_auc_score(truth, negatives + positives))


def test_where_no_example_was_found_none_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robustness, "PAPER_BALLS", (Ball("linf", 1e-4),))
    private = flat(torch.tensor([0.0]))
    loaded = Checkpoint(EvaluatorNetwork(), None, {}, "")
    cosines = torch.linspace(-1, 1, 9, dtype=torch.float64)
    centres = torch.ones(CLASSES, 3, dtype=torch.float64)
    reference = SignatureReference(centres, cosines, cosines, cosines, "")
    clean = describe(loaded, private["test_images"], SETUP)
    (found,) = detection(loaded, private, clean, reference, SETUP)
    assert found.changed is None
    assert found.every.auc == 0.5 and found.every.recall == found.every.fpr


def test_only_a_trapdoored_target_has_a_detection(
    private: dict[str, Tensor], public: Tensor, trapped: Checkpoint, evaluator: Checkpoint
) -> None:
    """At the paper's two balls, in the target's scores."""
    for loaded, balls in ((trapped, [("linf", 8 / 255), ("l2", 0.5)]), (evaluator, [])):
        reference = references.of_target(loaded, private, public, SETUP)
        scores = score_target("t", loaded, private, MANIFEST, reference, SETUP)
        found = [(one.norm, pytest.approx(one.radius, abs=1e-6)) for one in scores.adversarial]
        assert found == balls
