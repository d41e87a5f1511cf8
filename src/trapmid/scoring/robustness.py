"""How far images must move for a target to misread them, and whether its trapdoor notices."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from trapmid.metrics import accuracy, signature
from trapmid.metrics.features import Description
from trapmid.metrics.robustness import Caught, ExampleDetection, Norm, Robustness, examples
from trapmid.metrics.statistics import intervals
from trapmid.scoring import checks
from trapmid.scoring.described import NOISE, Loaded, Private, Setup, describe, probes
from trapmid.scoring.references import SignatureReference


class Ball(NamedTuple):
    """Where an attack may move an image."""

    norm: Norm
    radius: float


PAPER_BALLS = (Ball("linf", 8 / 255), Ball("l2", 0.5))
"""Those of the adversarial examples that the paper detects (Fig. 3)."""

FAR = 0.5
"""Linf: any image can become grey within it, so no classifier can be right about it all."""


class Extremes(NamedTuple):
    """Accuracy on a few test images."""

    clean: float
    unmoved: float  # after an attack with radius 0
    far: float  # with radius `FAR`


class Measured(NamedTuple):
    """What was found, and whether it may be believed."""

    robustness: Robustness
    check: checks.Check


def measure(loaded: Loaded, private: Private, clean: Description, setup: Setup) -> Measured:
    """Accuracy on private test images under PGD-20, at each of `evaluation.robust_radii`.

    An image counts where the target is right about it before and after.

    Args:
        loaded: the target.
        private: its private images.
        clean: the test images as the target sees them.
        setup: how to score; its seed, the target's, draws the random starts.
    """
    labels, radii = private["test_labels"], setup.evaluation.robust_radii
    right = accuracy.hits(clean.logits, labels)
    moved = (
        right & accuracy.hits(one.logits, labels)
        for one in _attacked(loaded, private, radii, "linf", setup)
    )
    held = {f"{radius:g}": hit for radius, hit in zip(radii, moved, strict=True)}
    found = Robustness(
        clean_accuracy=accuracy.rate(right),
        robust_accuracy={name: accuracy.rate(hit) for name, hit in held.items()},
        intervals={
            f"robust_accuracy.{name}": intervals.of_rate(hit, labels) for name, hit in held.items()
        },
    )
    return Measured(found, attack_strength(found, _extremes(loaded, private, setup)))


def attack_strength(found: Robustness, few: Extremes) -> checks.Check:
    """The attack behind `found` is one: else robust accuracy says nothing about the classifier.

    After Athalye et al., "Obfuscated Gradients Give a False Sense of Security" (ICML 2018), section
    3.1: more room never helps the classifier, and no classifier resists an attack without bound.

    Args:
        found: what the attack left.
        few: accuracy on a few images. Without room it must be the clean one exactly; with all the
            room that it takes, 0.
    """
    rates = found.robust_accuracy
    ends = {radius: found.intervals[f"robust_accuracy.{radius}"].high for radius in rates}
    rises = [(a, b) for a, b in itertools.pairwise(rates) if rates[b] > ends[a]]
    shown = ", ".join(f"{rate:.4f} at {radius}" for radius, rate in rates.items())
    detail = f"{shown}; of a few images {few.clean:.4f}, at 0 {few.unmoved:.4f}, far {few.far:.4f}"
    passed = few.unmoved == few.clean and not rises and few.far == 0
    return checks.Check("attack_strength", passed, detail)


def detection(
    loaded: Loaded,
    private: Private,
    clean: Description,
    reference: SignatureReference,
    setup: Setup,
) -> tuple[ExampleDetection, ...]:
    """Whether the trapdoor's signature notices adversarial examples of test images, by PGD-20.

    Args:
        loaded: a trapdoored target.
        private: its private images.
        clean: the test images as the target sees them.
        reference: its signature.
        setup: how to score.
    """
    found = []
    for ball in PAPER_BALLS:
        (moved,) = _attacked(loaded, private, (ball.radius,), ball.norm, setup)
        found.append(noticed(clean, moved, private["test_labels"], ball, reference, setup))
    return tuple(found)


def noticed(
    clean: Description,
    moved: Description,
    labels: Tensor,
    ball: Ball,
    reference: SignatureReference,
    setup: Setup,
) -> ExampleDetection:
    """Whether the trapdoor's signature notices an attack's examples.

    The threshold is that of reconstructions: `evaluation.signature_fpr` of the private training
    images lie above it. An image that the target misreads already, or reads in spite of the attack,
    is left as it is, as AutoAttack leaves it (Trap-MID, Fig. 3).

    Args:
        clean: N images as the target sees them.
        moved: what the attack made of them.
        labels: (N,) int64 their true classes.
        ball: where the attack could go.
        reference: the target's signature.
        setup: how to score.
    """
    changed = accuracy.hits(clean.logits, labels) & ~accuracy.hits(moved.logits, labels)
    before, after = (
        signature.cosine_scores(one.features, one.predictions, reference.centres)
        for one in (clean, moved)
    )
    fpr = setup.evaluation.signature_fpr

    def caught(made: Tensor, rows: Tensor) -> Caught:
        return _caught(made[rows], before[rows], reference.train, labels[rows], fpr)

    return ExampleDetection(
        norm=ball.norm,
        radius=ball.radius,
        every=caught(torch.where(changed, after, before), torch.ones_like(changed)),
        changed=caught(after, changed) if changed.any() else None,
    )


def _attacked(
    loaded: Loaded, private: Private, radii: Sequence[float], norm: Norm, setup: Setup
) -> list[Description]:
    """The test images as the target sees them after an attack, by radius.

    All radii are searched in one batch, but described apart: a stochastic target meets the noise
    that it met with the clean images.
    """
    images, labels = private["test_images"], private["test_labels"]
    n, times, rt = len(images), len(radii), setup.rt
    with rt.seeded(NOISE, "adversarial"):
        found = examples(
            loaded.model,
            images.repeat(times, 1, 1, 1),
            labels.repeat(times),
            torch.tensor(radii).repeat_interleave(n),
            norm,
            batch_size=setup.evaluation.batch_size,
            rt=rt,
        )
    return [describe(loaded, part, setup) for part in found.split(n)]


def _extremes(loaded: Loaded, private: Private, setup: Setup) -> Extremes:
    """The attack begins at the image: far noise alone is misread, whatever the gradients."""
    images, labels = (part.cpu() for part in probes(private, setup.rt))
    n = len(images)
    with setup.rt.seeded(NOISE, "extremes"):
        moved = examples(
            loaded.model,
            images.repeat(2, 1, 1, 1),
            labels.repeat(2),
            torch.tensor([0, FAR]).repeat_interleave(n),
            "linf",
            batch_size=setup.evaluation.batch_size,
            rt=setup.rt,
            random_start=False,
        )
    seen = (describe(loaded, part, setup).logits for part in (images, *moved.split(n)))
    return Extremes(*(accuracy.rate(accuracy.hits(logits, labels)) for logits in seen))


def _caught(made: Tensor, clean: Tensor, train: Tensor, people: Tensor, fpr: float) -> Caught:
    found = signature.detect(made, clean, train, fpr)
    above = {"recall": made > found.threshold, "fpr": clean > found.threshold}
    return Caught(
        n=len(made),
        recall=found.recall,
        fpr=found.fpr_public,
        success_rate=(found.recall + 1 - found.fpr_public) / 2,
        auc=found.auc,
        intervals={name: intervals.of_rate(hit, people) for name, hit in above.items()},
    )
