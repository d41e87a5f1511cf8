"""Metrics as the released scripts compute them: loops over images, classes and pairs."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from queue import PriorityQueue

import numpy as np
import numpy.typing as npt
import torch
from scipy import linalg
from torch import Tensor

from trapmid.metrics.prdc import Prdc

Numbers = npt.NDArray[np.float64]


def top_n(probabilities: Tensor, n: int) -> tuple[list[int], list[int]]:
    """(indices, labels): a queue of (probability, index) for every class, image after image."""
    indices, labels = [], []
    for label in range(probabilities.shape[1]):
        queue: PriorityQueue[tuple[float, int]] = PriorityQueue()
        for i, p in enumerate(probabilities[:, label]):
            queue.put((p.item(), i))
            if queue.qsize() > n:
                queue.get()
        kept = [queue.get() for _ in range(n)]
        indices += [i for _, i in kept]
        labels += [label] * n
    return indices, labels


def hits(logits: Tensor, labels: Tensor, k: int) -> list[bool]:
    """Whether a label is among the k largest, image after image."""
    found = []
    for row, label in zip(logits, labels, strict=True):
        best = heapq.nlargest(k, range(len(row)), key=lambda i: (row[i].item(), -i))
        found.append(label.item() in best)
    return found


def nearest_squared(features: Tensor, labels: Tensor, private: Tensor, people: Tensor) -> Tensor:
    """KNN distance by a loop over all pairs."""
    found = []
    for feature, label in zip(features, labels, strict=True):
        best = float("inf")
        for other, person in zip(private, people, strict=True):
            if person == label:
                best = min(best, float((feature - other).pow(2).sum()))
        found.append(best)
    return torch.tensor(found, dtype=torch.float64)


def frechet(first: Numbers, second: Numbers) -> float:
    """By the matrix square root of SciPy; rows are images."""
    covariances = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = linalg.sqrtm(covariances[0] @ covariances[1])
    gap = first.mean(axis=0) - second.mean(axis=0)
    traces = sum(float(np.trace(one)) for one in covariances)
    return float(gap @ gap) + traces - 2 * float(np.trace(root).real)


def ppa(real: Tensor, made: Tensor, k: int) -> Prdc:
    """Precision, recall, density and coverage, as PPA's script: pair by pair."""
    distances = [[float((m - r).norm()) for r in real] for m in made]
    real_radii = [sorted(float((a - b).norm()) for b in real)[k] for a in real]
    made_radii = [sorted(float((a - b).norm()) for b in made)[k] for a in made]
    columns = list(zip(*distances, strict=True))
    nearest_real = [min(range(len(real)), key=row.__getitem__) for row in distances]
    nearest_made = [min(range(len(made)), key=column.__getitem__) for column in columns]
    inside = [[d <= r for d, r in zip(row, real_radii, strict=True)] for row in distances]
    return Prdc(
        precision=_mean([distances[i][j] <= real_radii[j] for i, j in enumerate(nearest_real)]),
        recall=_mean([columns[j][i] <= made_radii[i] for j, i in enumerate(nearest_made)]),
        density=sum(map(sum, inside)) / (k * len(real)),
        coverage=_mean([any(column) for column in zip(*inside, strict=True)]),
    )


def ppa_per_class(
    real: Tensor, real_labels: Tensor, made: Tensor, made_labels: Tensor, k: int
) -> Prdc:
    """The means of `ppa`, class after class."""
    found = [
        vars(ppa(real[real_labels == label], made[made_labels == label], k))
        for label in sorted(set(made_labels.tolist()))
    ]
    return Prdc(**{name: sum(one[name] for one in found) / len(found) for name in found[0]})


def nearest_private(features: Tensor, private: Tensor, public: Tensor) -> float:
    """The share of images whose nearest neighbour is private, image after image; no ties."""
    return _mean(
        [
            float((private - one).pow(2).sum(dim=1).min())
            < float((public - one).pow(2).sum(dim=1).min())
            for one in features
        ]
    )


def bootstrap(values: Numbers, people: npt.NDArray[np.int64], resamples: int) -> Numbers:
    """Means of resamples of people, drawn one after another; ascending."""
    stream = np.random.default_rng(0)
    names = np.unique(people)
    means = []
    for _ in range(resamples):
        drawn = stream.choice(names, size=len(names))
        means.append(np.concatenate([values[people == name] for name in drawn]).mean())
    return np.sort(means)


def signatures(features: Tensor, assigned: Tensor, classes: int) -> Tensor:
    """Eq. 6: per class a list of features, then their mean."""
    of_class: list[list[Tensor]] = [[] for _ in range(classes)]
    for feature, label in zip(features, assigned, strict=True):
        of_class[int(label)].append(feature.double())
    return torch.stack([torch.stack(one).mean(dim=0) for one in of_class])


def _mean(true: Sequence[bool]) -> float:
    return sum(true) / len(true)
