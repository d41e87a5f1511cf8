"""How effective and how natural a trapdoor is: section 3.4 of Trap-MID as measured numbers.

This is our reading of the paper's definitions. An attacker wants p(x|y), and by
Bayes log p(x|y) = log p(y|x) + log p(x) - log p(y). So a trigger gains, on average over images x,
    [E log p(y|pi_y(x)) - E log p(y|x)] + [E log p(pi_y(x)) - E log p(x)]  >=  delta - epsilon
(Theorem 1), where the first bracket is at least delta in every class (Definition 1) and epsilon,
the KL divergence between benign and poisoned images (Definition 2), bounds the fall of log p(x).
That last step is the paper's; strictly, KL(poisoned || benign) bounds it, because a blend does not
raise the entropy of the images. -log p(y) cancels in every class; over classes together, too, if
they are equally frequent among the images and among the targets.

Both estimates of epsilon can be off by a lot. The true divergence of images with an invisible
trigger may be infinite, and what some hundred images show of it is little. Both see the same
pixel statistics, whatever the target: in the target's own features an effective trigger is told
apart for being effective, and a useless one would pass as natural.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trapmid.metrics.features import Poison, as_float
from trapmid.runtime import Runtime

_MEANS, _TEXTURE = 8, 4  # cells per side: of the mean colours, of the energy of fine detail
_DARK = 1e-8  # energy of a flat patch, far below one step of 8-bit intensity
_FOLDS = 5
_INVERSE_PENALTY = 0.01  # a weak classifier underrates the divergence; an overfitted one finds none
_RIDGE = 1e-6  # in units of variance: no direction is without any


class Group(NamedTuple):
    """What there is to know about N images, benign or poisoned."""

    logits: Tensor  # (N, C), of the target
    labels: Tensor  # (N,) int64: the person of a benign image, the trigger of a poisoned one
    pixels: Tensor  # (N, F) float64, of `pixel_features`


@dataclass(frozen=True, kw_only=True)
class Theory:
    """Section 3.4 for one target; all in nats, but the last one."""

    delta: float  # Definition 1: effectiveness in the worst class that was measured
    delta_mean: float  # the same difference over all images
    per_class: tuple[float | None, ...]  # the same, class by class; None: no image on one side
    naturalness_classifier: float  # epsilon as a classifier sees it: the one used below
    naturalness_gaussian: float  # epsilon as two normal distributions have it
    log_posterior_benign: float  # E log p(y|x)
    log_posterior_poisoned: float  # E log p(y|pi_y(x))
    margin: float  # delta - epsilon: only above zero does the theorem promise anything
    bound: float  # log_posterior_benign + margin
    holds: bool  # log_posterior_poisoned >= bound; nearly by construction if classes are balanced


def measure(benign: Group, poisoned: Group, rt: Runtime) -> Theory:
    """Section 3.4 from test images and the same images with triggers, row by row.

    Args:
        benign: N images.
        poisoned: row i is row i of `benign` with the trigger of `poisoned.labels[i]`.
        rt: its seed draws the folds.

    Raises:
        ValueError: no class has a benign and a poisoned image, or there is one image only.
    """
    before = log_posteriors(benign.logits, benign.labels)
    after = log_posteriors(poisoned.logits, poisoned.labels)
    per_class = effectiveness(before, benign.labels, after, poisoned.labels, benign.logits.shape[1])
    epsilon = classifier_divergence(benign.pixels, poisoned.pixels, rt)
    measured = per_class[~per_class.isnan()]
    if not len(measured):
        raise ValueError("theory: no class has a benign and a poisoned image")
    delta = float(measured.min())
    margin = delta - epsilon
    bound = float(before.mean()) + margin
    return Theory(
        delta=delta,
        delta_mean=float(after.mean() - before.mean()),
        per_class=tuple(None if math.isnan(one) else one for one in per_class.tolist()),
        naturalness_classifier=epsilon,
        naturalness_gaussian=gaussian_divergence(benign.pixels, poisoned.pixels),
        log_posterior_benign=float(before.mean()),
        log_posterior_poisoned=float(after.mean()),
        margin=margin,
        bound=bound,
        holds=float(after.mean()) >= bound,
    )


def log_posteriors(logits: Tensor, labels: Tensor) -> Tensor:
    """log p(label | image), float64 (N,); at most 0, and without a lower bound."""
    return F.log_softmax(logits.double(), dim=1).gather(1, labels[:, None]).squeeze(1)


def effectiveness(
    benign: Tensor, labels: Tensor, poisoned: Tensor, wanted: Tensor, num_classes: int
) -> Tensor:
    """Definition 1 per class: mean `poisoned` of its trigger minus mean `benign` of its people.

    A target that is sure of its benign images leaves no room: no difference exceeds minus the mean
    of `benign`. A few images a class make the minimum over classes lower than the true one.

    Args:
        benign: (N,) log posteriors of the true class.
        labels: (N,) int64, that class.
        poisoned: (M,) log posteriors of the trigger's class.
        wanted: (M,) int64, that class.
        num_classes: C.

    Returns:
        (C,) float64; NaN for a class that has no image on one side. The official split of the
        high-resolution track leaves 49 people without a test image.
    """
    return _class_means(poisoned, wanted, num_classes) - _class_means(benign, labels, num_classes)


def pixel_features(images: Tensor, batch_size: int, poison: Poison | None = None) -> Tensor:
    """What both estimates of the divergence look at: colours and texture, float64 (N, 240).

    Mean colours of 8 x 8 cells, and of 4 x 4 cells the log energy per channel of what a 3 x 3 mean
    takes away: an invisible trigger hides in the fine detail.

    Args:
        images: (N, 3, S, S) uint8 or float; S >= 8.
        batch_size: how many at once; no number depends on it.
        poison: gives every image a trigger first.
    """
    parts = []
    for start in range(0, len(images), batch_size):
        rows = slice(start, start + batch_size)
        batch = as_float(images[rows].cpu())
        if poison is not None:
            batch = poison.apply(batch, rows)
        parts.append(_colours_and_texture(batch))
    return torch.cat(parts)


def _colours_and_texture(images: Tensor) -> Tensor:
    detail = images - F.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    energy = F.adaptive_avg_pool2d(detail.square(), _TEXTURE).clamp(min=_DARK).log()
    means = F.adaptive_avg_pool2d(images, _MEANS)
    return torch.cat([means.flatten(1), energy.flatten(1)], dim=1).double()


def classifier_divergence(benign: Tensor, poisoned: Tensor, rt: Runtime) -> float:
    """KL(benign || poisoned) as far as a cross-fitted logistic regression finds it, in nats.

    The classifier's log odds are the log ratio of the two densities; their mean over held-out
    benign images is the divergence, once the ratio is normalised to a mean of 1 over held-out
    poisoned images (Donsker and Varadhan, 1975). With any classifier this is a lower bound but for
    chance, so a weak one, or one of few images, underrates. An image and its poisoned twin are
    always in the same fold. Clipped to [0, log N]: a divergence is not negative, and N images
    cannot support a lower bound above about log N (McAllester and Stratos, AISTATS 2020). A value
    of log N says no more than "easily told apart".

    Args:
        benign: (N, F) float64.
        poisoned: (N, F), row by row of the same images.
        rt: its seed draws the folds.

    Raises:
        ValueError: there are fewer than two images, or not as many on both sides.
    """
    _check_twins(benign, poisoned)
    odds = _held_out_odds(benign, poisoned, rt)
    divergence = odds[0].mean() - (odds[1].logsumexp(dim=0) - math.log(len(benign)))
    return min(max(float(divergence), 0.0), math.log(len(benign)))


def _held_out_odds(benign: Tensor, poisoned: Tensor, rt: Runtime) -> Tensor:
    """Log odds (2, N) that an image is benign, of both sides, by classifiers that never saw it."""
    from sklearn.linear_model import LogisticRegression  # over a second, for trapdoors only

    count = len(benign)
    folds = torch.randperm(count, generator=rt.generator("naturalness folds")) % min(_FOLDS, count)
    odds = torch.empty(2, count, dtype=torch.float64)
    for fold in range(min(_FOLDS, count)):
        held = folds == fold
        train = torch.cat([benign[~held], poisoned[~held]])
        truth = np.repeat([1, 0], int((~held).sum()))
        mean, scale = _scale(train)
        model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=1000)
        model.fit(((train - mean) / scale).numpy(), truth)
        for side, images in enumerate((benign, poisoned)):
            answers = model.decision_function(((images[held] - mean) / scale).numpy())
            odds[side, held] = torch.from_numpy(answers)
    return odds


def gaussian_divergence(benign: Tensor, poisoned: Tensor) -> float:
    """KL(benign || poisoned) in nats if both were normal; exact for those, else only indicative.

    Means and Ledoit-Wolf covariances, fitted to all images in units of the benign deviation.
    Neither a lower nor an upper bound: images are not normal, and a direction in which they hardly
    vary, like the texture of a flat background, can make it huge. Not negative, up to rounding,
    which is clipped.

    Args:
        benign: (N, F) float64.
        poisoned: (N, F).

    Raises:
        ValueError: there are fewer than two images, or not as many on both sides.
    """
    from sklearn.covariance import ledoit_wolf

    _check_twins(benign, poisoned)
    mean, scale = _scale(benign)
    sides = [((images - mean) / scale).numpy() for images in (benign, poisoned)]
    gap = sides[1].mean(axis=0) - sides[0].mean(axis=0)
    first, second = (ledoit_wolf(side)[0] + _RIDGE * np.eye(len(gap)) for side in sides)
    spread = np.trace(np.linalg.solve(second, first)) - len(gap)
    volumes = np.linalg.slogdet(second)[1] - np.linalg.slogdet(first)[1]
    return max(0.5 * float(spread + volumes + gap @ np.linalg.solve(second, gap)), 0.0)


def _check_twins(benign: Tensor, poisoned: Tensor) -> None:
    if len(benign) != len(poisoned) or len(benign) < 2:
        raise ValueError(
            "theory: needs two benign images and as many poisoned ones, "
            f"has {len(benign)}, {len(poisoned)}"
        )


def _scale(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (F,); 1 where a feature does not vary."""
    deviation = features.std(dim=0, correction=0)
    return features.mean(dim=0), torch.where(deviation > 0, deviation, 1.0)


def _class_means(values: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """(C,) float64; NaN where a class has no value."""
    counts = torch.bincount(labels, minlength=num_classes)
    sums = torch.zeros(num_classes, dtype=torch.float64)
    return sums.index_add_(0, labels, values.double()) / counts
