"""Verification: does an image show this person? By a distance, below a threshold of impostors."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Verdicts(NamedTuple):
    """What a verifier says of N images, each of which is to show the person of its label."""

    distances: Tensor  # (N,) float64, to that person
    accepted: Tensor  # (N,) bool: nearer than the threshold
    nearest: Tensor  # (N,) int64, the person whose template is nearest


class Disagreement(NamedTuple):
    """How many images two judges take for the attacked person."""

    both: int
    first_only: int  # where the second one is right, a false positive of the first
    second_only: int  # likewise a false negative
    neither: int


def templates(embeddings: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Every person's mean embedding, stretched to the mean length of all embeddings.

    Args:
        embeddings: (N, D).
        labels: (N,) int64, whom they are of.
        num_classes: C.

    Returns:
        (C, D) float64.

    Raises:
        ValueError: a person has no image.
    """
    vectors = embeddings.double()
    counts = torch.bincount(labels, minlength=num_classes)
    if not counts.all():
        raise ValueError(f"templates: no image of class {int((counts == 0).nonzero()[0])}")
    sums = vectors.new_zeros(num_classes, vectors.shape[1]).index_add(0, labels, vectors)
    length: Tensor = vectors.norm(dim=1).mean()
    return length * F.normalize(sums, dim=1)


def distances(embeddings: Tensor, of_people: Tensor) -> Tensor:
    """L2 distance of each of N embeddings (N, D) to each of C templates (C, D); (N, C) float64."""
    return torch.cdist(
        embeddings.double(), of_people.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )


def own(values: Tensor, labels: Tensor) -> Tensor:
    """Of a value (N, C) for each image and person, that of the person of its label; (N,)."""
    return values.gather(1, labels[:, None]).squeeze(1)


def others(values: Tensor, labels: Tensor) -> Tensor:
    """Of a value (N, C) for each image and person, those of all other people; (N, C - 1)."""
    n, num_classes = values.shape
    column = torch.arange(num_classes)
    return values[column != labels[:, None]].reshape(n, num_classes - 1)


def threshold(impostors: Tensor, labels: Tensor, false_accepts: float) -> float:
    """The largest distance below which no more than this share of impostors lies.

    Everybody counts once, however many images show them: most of one person's images are near the
    same others.

    Args:
        impostors: (N, M) distances of images to people whom they do not show.
        labels: (N,) int64, whom the images show.
        false_accepts: the share, in [0, 1).

    Raises:
        ValueError: there are no impostors.
    """
    if not impostors.numel():
        raise ValueError("threshold: no impostors")
    _, person, counts = labels.unique(return_inverse=True, return_counts=True)
    # 1 each where people have equally many images
    weights = len(labels) / (len(counts) * counts.double())
    ascending = impostors.flatten().double().sort()
    weight = weights[person][:, None].expand_as(impostors).flatten()[ascending.indices]
    below = weight.cumsum(dim=0) - weight
    least = int((below <= false_accepts * impostors.numel() + 1e-9).sum())
    return float(ascending.values[least - 1])


def nearest(values: Tensor) -> Tensor:
    """The person with the least value (N, C); ties go to the lower class; (N,) int64."""
    return values.sort(dim=1, stable=True).indices[:, 0]


def verdicts(values: Tensor, labels: Tensor, limit: float) -> Verdicts:
    """Judges images by their distances (N, C) to all people."""
    attacked = own(values, labels)
    return Verdicts(attacked, attacked < limit, nearest(values))


def disagreement(first: Tensor, second: Tensor) -> Disagreement:
    """Counts the answers (N,) bool of two judges of the same images."""
    return Disagreement(
        both=int((first & second).sum()),
        first_only=int((first & ~second).sum()),
        second_only=int((second & ~first).sum()),
        neither=int((~first & ~second).sum()),
    )
