"""Adversarial examples: images that moved a little, so that a classifier misreads them.

Projected gradient descent, Madry et al., "Towards Deep Learning Models Resistant to Adversarial
Attacks" (ICLR 2018), section 2.1: PGD-20, untargeted, on the cross-entropy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from trapmid.metrics.features import as_float, exact
from trapmid.metrics.statistics.intervals import Interval
from trapmid.runtime import (
    Runtime,
    counter_normal,
    counter_uniform,
    eval_mode,
    frozen,
    in_parts,
    stream_seed,
)
from trapmid.types import Target

Norm = Literal["linf", "l2"]

STEPS = 20
STEP = 2.5 / STEPS  # of the radius: the steps can cross the ball even from its far side


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """How often a classifier is right about images that moved within a ball, in the Linf norm."""

    clean_accuracy: float  # of the same images, unmoved
    robust_accuracy: dict[str, float]  # by radius, in pixels of [0, 1]: right before and after
    intervals: dict[str, Interval]  # over people, e.g. of robust_accuracy.0.0039


@dataclass(frozen=True, kw_only=True)
class Caught:
    """Adversarial examples that a trapdoor's signature tells from the images they were made of."""

    n: int  # images, and examples made of them
    recall: float  # share of the examples above the threshold
    fpr: float  # share of the images above it
    success_rate: (
        float  # share of right verdicts on both: half of recall + 1 - fpr; the paper's DSR
    )
    auc: float  # area under the ROC curve: images (0) against examples (1)
    intervals: dict[str, Interval]  # of recall and fpr, over people


@dataclass(frozen=True, kw_only=True)
class ExampleDetection:
    """Whether a trapdoored target notices adversarial examples (Trap-MID, section 4.3)."""

    norm: Norm
    radius: float
    every: Caught  # as in the paper: an image that was not changed stands for its own example
    changed: Caught | None  # examples alone whose right answer was lost; None: there is none


def examples(
    model: Target,
    images: Tensor,
    labels: Tensor,
    radii: Tensor,
    norm: Norm,
    *,
    batch_size: int,
    rt: Runtime,
    random_start: bool = True,
) -> Tensor:
    """What PGD makes of images, each within a ball of its own; float32 (N, 3, S, S) in [0, 1].

    An image's example depends on that image, its label and its radius alone: not on its row, and on
    the batch size by no more than the order of floating-point sums. A stochastic target draws its
    noise from the surrounding random stream.

    Args:
        model: on `rt.device`; asked in eval mode, and it keeps no gradient.
        images: (N, 3, S, S) uint8, or float32 in [0, 1].
        labels: (N,) int64 true classes.
        radii: (N,) at least 0, in pixels of [0, 1].
        norm: of the balls.
        batch_size: how many images at once.
        rt: where to compute; its seed draws the random starts.
        random_start: whether the search begins anywhere in the ball, or at the image.

    Raises:
        ValueError: an image is outside [0, 1].
    """
    if not (images.min() >= 0 and as_float(images).max() <= 1):
        raise ValueError("adversarial examples: images must be in [0, 1]")

    def moved(rows: slice) -> Tensor:
        batch = as_float(images[rows])
        start = _anywhere(batch, norm, rt) if random_start else torch.zeros_like(batch)
        given = (batch, start, labels[rows], radii[rows].float())
        return pgd(model, norm, *(part.to(rt.device) for part in given)).cpu()

    with eval_mode(model), frozen(model), exact():
        return torch.cat(in_parts(len(images), batch_size, moved))


def pgd(
    model: Target, norm: Norm, images: Tensor, start: Tensor, labels: Tensor, radii: Tensor
) -> Tensor:
    """`STEPS` steps up the cross-entropy, each back into the ball and into [0, 1].

    Args:
        model: in eval mode, frozen.
        norm: of the balls.
        images: (N, 3, S, S) float32 in [0, 1].
        start: (N, 3, S, S), where to begin, from the image and in radii.
        labels: (N,) int64.
        radii: (N,) float32.
    """
    size = radii[:, None, None, None]
    found = _within(images + size * start, images, size, norm)
    for _ in range(STEPS):
        step = STEP * size * _direction(_gradient(model, found, labels), norm)
        found = _within(found + step, images, size, norm)
    return found


def _gradient(model: Target, images: Tensor, labels: Tensor) -> Tensor:
    """Of every image's own cross-entropy; zero where the model lets none through."""
    leaf = images.detach().requires_grad_()
    loss = F.cross_entropy(model(leaf).logits, labels, reduction="sum")
    if not loss.requires_grad:
        return torch.zeros_like(images)
    (gradient,) = torch.autograd.grad(loss, leaf, materialize_grads=True)
    return gradient


def _direction(gradient: Tensor, norm: Norm) -> Tensor:
    """The step of length 1 that climbs most."""
    if norm == "linf":
        return gradient.sign()
    return gradient / _length(gradient).clamp(min=torch.finfo(gradient.dtype).tiny)


def _within(found: Tensor, images: Tensor, size: Tensor, norm: Norm) -> Tensor:
    """The nearest point of the ball, then of [0, 1]: which is in the ball, as the image is."""
    moved = found - images
    if norm == "linf":
        moved = torch.clamp(moved, -size, size)
    else:
        moved = moved * (size / _length(moved).clamp(min=1e-12)).clamp(max=1)
    return torch.clamp(images + moved, 0, 1)


def _length(moved: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(moved, dim=(1, 2, 3), keepdim=True)
    return length


def _anywhere(images: Tensor, norm: Norm, rt: Runtime) -> Tensor:
    """A point of the ball of radius 1, uniformly: of every image (N, 3, S, S) its own.

    The stream is named by the image's pixels, so equal images start alike in any order.
    """
    size = images[0].numel()
    if norm == "linf":
        return (2 * counter_uniform(_keys(images, rt, norm), size) - 1).view_as(images)
    direction = F.normalize(counter_normal(_keys(images, rt, norm), size), dim=1)
    depth = counter_uniform(_keys(images, rt, "depth"), 1) ** (1 / size)
    return (depth * direction).view_as(images)


def _keys(images: Tensor, rt: Runtime, *scope: str) -> Tensor:
    names = (hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in images.cpu())
    return torch.tensor([stream_seed(rt.seed, "adversarial", *scope, name) for name in names])
