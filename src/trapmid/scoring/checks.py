"""The evaluation doubts itself (after AutoAttack's checks).

A check says whether a number may be believed. It never raises: a check that fails, or whose input
is missing, is False in the scores, in the report and in the gate. Row checks look at one row of
params.yaml; `study_checks` merges them and adds those that need several rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from trapmid import losses
from trapmid.metrics.features import exact
from trapmid.metrics.statistics import intervals
from trapmid.metrics.statistics.intervals import Interval
from trapmid.types import Target

_FLOOR_DEVIATIONS = 5

EXPLANATIONS = {
    "checkpoint_verified": "Every checkpoint loads strictly and repeats its validation accuracy; "
    "without a validation split, its test accuracy.",
    "logits_not_probabilities": "Classifiers return raw logits, not a softmax.",
    "deterministic": "Two forward passes of a classifier in eval mode agree exactly; targets that "
    "draw noise by design are left out.",
    "gradients_reach_images": "Gradients reach the images: a masked gradient is no defence.",
    "attack_strength": "The attack behind robust accuracy is one: nothing changes at radius 0, a "
    "larger radius gets more, and images that may move far are all misread.",
    "private_public_disjoint": "No identity and no image is both private and public.",
    "splits_disjoint": "No private image is in two of train, validation and test.",
    "evaluator_accuracy": "The evaluator recognises private test images.",
    "evaluator_is_another_network": "The evaluator has another architecture and other weights, "
    "and neither began from the other's.",
    "undefended_accuracy": "The undefended target is a working classifier.",
    "defense_is_active": "No target's defence is turned off: by a weight of 0, or by a schedule "
    "that the kept epoch did not reach.",
    "trapdoor_success": "Triggers work on test images of every trapdoored target.",
    "every_class_attacked": "Every private class was attacked, with the same number of draws; an "
    "untargeted attack leaves whole classes out.",
    "target_agreement": "What an attack asked, the target or a stand-in, accepts its images; an "
    "image that the attack did not find counts as refused.",
    "stand_in_agreement": "What an attack asked instead of the target or beside it, a student or a "
    "copy, names public images as the target does; of several the one that does it least.",
    "floor_is_chance": "Random latents hit an identity as rarely as chance does.",
    "judges_agree_on_real": "On real private test images the judges that have a vote accept whom "
    "the evaluator recognises, and no other.",
    "reader_recognises_real": "By the parameters that a judge with a vote reads off real private "
    "test images, the nearest person is the one whom they show.",
    "blank_images_refused": "The verifier refuses black, white, plain and noise images, and the "
    "mean image of everybody else, as often as real impostors.",
    "judge_knows_no_private_person": "No judge learnt from a private person.",
    "floor_below_ceiling": "Random latents score below real private test images.",
    "positive_control": "The strongest attack on all people succeeds against every undefended "
    "target.",
}
"""Every check of a study, with what it means when it holds."""


OF_JUDGES = (
    "judges_agree_on_real",
    "reader_recognises_real",
    "blank_images_refused",
    "judge_knows_no_private_person",
)
"""Checks that a study without judges does not have."""

OF_STAND_INS = ("stand_in_agreement",)
"""Checks that a study does not have in which every attack asks targets alone."""

OF_DEFENSES = ("defense_is_active",)
"""Likewise, a study without a defence, or with scores that are older than the check."""

OF_TRAPDOORS = ("trapdoor_success",)
"""Likewise, a study without trapdoors."""


class Check(NamedTuple):
    """One verdict and the numbers behind it."""

    name: str
    passed: bool
    detail: str  # one line


def verdicts(checks: Iterable[Check]) -> dict[str, bool]:
    """name -> passed, for the scores file."""
    return {check.name: check.passed for check in checks}


def failures(checks: Iterable[Check]) -> dict[str, str]:
    """name -> what is wrong, of the checks that failed."""
    return {check.name: check.detail for check in checks if not check.passed}


# --- one classifier -----------------------------------------------------------------------------


def checkpoint_verified(
    recorded: object,
    measured: float,
    tolerance: float = 1e-3,
    noisy_images: int = 0,
    split: str = "validation",
) -> Check:
    """The loaded weights repeat the accuracy that was recorded with them.

    Args:
        recorded: `meta["val_accuracy"]`, or None where the checkpoint has none.
        measured: the accuracy of the loaded network on the same images, in [0, 1].
        tolerance: largest difference allowed, in accuracy.
        noisy_images: of a target that draws noise at every forward: how many images there are. Both
            accuracies are draws then, whose variance is at most a binomial's, so the tolerance
            grows by four deviations of their difference.
        split: which images these are.
    """
    if isinstance(recorded, bool) or not isinstance(recorded, int | float):
        return Check("checkpoint_verified", False, f"no {split} accuracy, but {recorded}")
    if noisy_images:
        # As if one image more were a hit and one a miss: an accuracy of 1 is no certainty.
        rate = (noisy_images * (recorded + measured) / 2 + 1) / (noisy_images + 2)
        tolerance += 4 * math.sqrt(2 * rate * (1 - rate) / noisy_images)
    passed = abs(recorded - measured) <= tolerance
    detail = f"{split} accuracy recorded {recorded}, measured {measured:.4f}"
    return Check("checkpoint_verified", passed, f"{detail}, tolerance {tolerance:.4f}")


def logits_not_probabilities(logits: Tensor) -> Check:
    """Not every row of `logits` (N, C) is a distribution: non-negative with sum 1."""
    sums = logits.double().sum(dim=1)
    distributions = (logits >= 0).all(dim=1) & ((sums - 1).abs() < 1e-3)
    passed = len(logits) > 0 and not bool(distributions.all())
    detail = f"{int(distributions.sum())} of {len(logits)} rows are distributions"
    return Check("logits_not_probabilities", passed, detail)


def deterministic(model: Target, images: Tensor) -> Check:
    """Two forward passes of `model`, in the mode it is in, give equal logits for `images`."""
    with torch.no_grad(), exact():
        first, second = model(images).logits, model(images).logits
    passed = len(images) > 0 and not model.training and torch.equal(first, second)
    gap = float((first - second).abs().max()) if len(images) else math.nan
    return Check("deterministic", passed, f"largest difference {gap:g}, training={model.training}")


def gradients_reach_images(model: Target, images: Tensor, labels: Tensor) -> Check:
    """The loss of *another* class than `labels` has a non-zero, finite gradient at every image.

    Another class, because a well-fitted image's own loss may be flat for honest reasons.

    Args:
        model: in eval mode.
        images: (N, 3, S, S) float32 on the model's device.
        labels: (N,) int64 true classes.
    """
    leaf = images.detach().clone().requires_grad_()
    logits = model(leaf).logits
    loss = losses.max_margin(logits, (labels.to(logits.device) + 1) % logits.shape[1]).sum()
    if not loss.requires_grad or not len(images):
        return Check("gradients_reach_images", False, "the loss does not depend on the images")
    (gradient,) = torch.autograd.grad(loss, leaf, materialize_grads=True)
    largest = gradient.flatten(1).abs().amax(dim=1)
    alive = int(((largest > 0) & largest.isfinite()).sum())
    detail = f"{alive} of {len(images)} images have a finite gradient that is not zero"
    return Check("gradients_reach_images", alive == len(images), detail)


# --- one attack run -----------------------------------------------------------------------------


class Known(NamedTuple):
    """A network and what its file says of its weights."""

    model: Target
    digest: str  # of the file
    init: str | None = None  # of the file that it began from; None: not recorded


def evaluator_is_another_network(evaluator: Known, target: Known) -> Check:
    """The evaluator is not the target: another class of network, other weights.

    Nor did one of them begin from the other's weights, as far as their files say: what it learnt
    there it still likes. A network inside a defence's own (MID's) counts by its own class.
    """
    names = [_architecture(one.model) for one in (evaluator, target)]
    digests = [evaluator.digest, target.digest]
    passed = names[0] != names[1] and all(digests) and digests[0] != digests[1]
    detail = f"evaluator {names[0]} {digests[0][:8]}, target {names[1]} {digests[1][:8]}"
    if all(digests) and (evaluator.init == target.digest or target.init == evaluator.digest):
        passed, detail = False, f"{detail}; one began from the other's weights"
    return Check("evaluator_is_another_network", passed, detail)


def _architecture(model: Target) -> str:
    inner = getattr(model, "trunk", None)
    kind = type(inner if isinstance(inner, Target) else model)
    return f"{kind.__module__}.{kind.__qualname__}"


def every_class_attacked(
    labels: Tensor, draws: Tensor, num_classes: int, left_out: int = 0
) -> Check:
    """Each of the classes 0 .. num_classes - 1 has the draws 0 .. d - 1, each once.

    Args:
        labels, draws: (N,) int64, of every image asked for.
        num_classes: C.
        left_out: images that were not attempted by design: all of some classes, none of the others.
    """
    pairs = sorted(zip(labels.tolist(), draws.tolist(), strict=True))
    attempted = sorted(set(labels.tolist())) if left_out else list(range(num_classes))
    per_class = len(pairs) // max(1, len(attempted))
    expected = [(label, draw) for label in attempted for draw in range(per_class)]
    complete = pairs == expected and len(pairs) + left_out == per_class * num_classes
    detail = f"{len(pairs)} images for {num_classes} classes, {left_out} left out"
    return Check("every_class_attacked", bool(pairs) and complete, detail)


def floor_is_chance(successes: int, n: int, num_classes: int) -> Check:
    """The Wilson interval of random latents' AA-1 does not lie above 1 / C.

    Labels attack nothing there, so a higher rate means that labels leak into the images. The
    interval is one of five standard deviations, at which Wilson's lower end is above chance where
    the rate is more than five of chance's deviations above it: one of 95 % would make one sound
    study in forty invalid.
    """
    if not n:
        return Check("floor_is_chance", False, "no image")
    chance = 1 / num_classes
    found = intervals.wilson(successes, n, math.erf(_FLOOR_DEVIATIONS / math.sqrt(2)))
    detail = f"AA-1 {_with_ends(successes / n, found)}, chance {chance:.4f}"
    return Check("floor_is_chance", found.low <= chance, detail)


def at_least(name: str, value: object, bound: float) -> Check:
    """`value` is a number of at least `bound`."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    passed = number and float(value) >= bound  # type: ignore[arg-type]
    return Check(name, passed, f"{value}, least {bound}")


def reaches(name: str, rate: float, interval: Interval, bound: float) -> Check:
    """The interval of `rate` does not lie below `bound` as a whole: few images decide little."""
    return Check(name, interval.high >= bound, f"{_with_ends(rate, interval)}, least {bound}")


def _with_ends(rate: float, interval: Interval) -> str:
    return f"{rate:.4f} ({interval.low:.4f} to {interval.high:.4f})"
