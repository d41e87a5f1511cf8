"""Precision, recall, density and coverage of made images among real ones (Naeem et al., ICML 2020).

Every image has a ball that reaches to its k-th nearest neighbour of its own kind. Which images lie
in whose balls says how natural the made ones are (precision, density) and how much of the real ones
they reach (recall, coverage).

Here a ball holds its edge (`<=`), and copies of an image are neighbours at distance zero: with
every image there k + 1 times, a copy of the real images scores 1, where the released `prdc` (`<`)
says 0. Without ties both agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from trapmid.metrics.distances import SLACK, blocks, kth_neighbour, space


@dataclass(frozen=True, kw_only=True)
class Prdc:
    """Four numbers about made images among real ones."""

    precision: float  # share of the made images inside a real one's ball
    recall: float  # share of the real images inside a made one's ball
    density: float  # in how many real balls a made image lies, over k: may exceed 1
    coverage: float  # share of the real balls that hold a made image


def prdc(real: Tensor, made: Tensor, k: int) -> Prdc:
    """The textbook's definitions over two sets of features.

    Args:
        real: (n, F); n > k.
        made: (m, F); m > k.
        k: neighbours that a ball reaches to.

    Raises:
        ValueError: a set has no k neighbours for every image, or the widths differ.
    """
    (real_points, made_points), slack = space(real, made)
    real_radii = kth_neighbour(real_points, k) + slack
    made_radii = kth_neighbour(made_points, k) + slack
    inside = torch.empty(len(made), dtype=torch.int64)  # real balls that hold the image
    reached = torch.zeros(len(real), dtype=torch.bool)
    covered = torch.zeros(len(real), dtype=torch.bool)
    for rows, (squared,) in blocks(made_points, real_points):
        held = squared <= real_radii
        inside[rows] = held.sum(dim=1)
        covered |= held.any(dim=0)
        reached |= (squared <= made_radii[rows, None]).any(dim=0)
    return Prdc(
        precision=_share(inside > 0),
        recall=_share(reached),
        density=float(inside.double().mean()) / k,
        coverage=_share(covered),
    )


def ppa(real: Tensor, made: Tensor, k: int) -> Prdc:
    """What the released code of Plug & Play Attacks computes, and so Trap-MID's table 11.

    Precision and recall ask the ball of the *nearest* centre alone, and density is a mean over the
    real images, so it is m / n of the textbook's. Meant for one class: all distances are in memory
    at once. Takes and raises as `prdc`.
    """
    for side in (real, made):
        if len(side) <= k:
            raise ValueError(f"distances: {len(side)} points have no {k} neighbours each")
    (found,) = _of_classes(real[None], made[None], k)
    return found


def ppa_per_class(
    real: Tensor, real_labels: Tensor, made: Tensor, made_labels: Tensor, k: int
) -> Prdc | None:
    """Means of `ppa` over the classes that have more than k images on both sides.

    PPA's script evaluates its first class on images of all classes; that is not followed.
    Classes with as many images are computed together: 1,000 of them one by one took six times as
    long, since each is a handful of small calls.

    Args:
        real: (n, F), with `real_labels` (n,) int64.
        made: (m, F), with `made_labels` (m,) int64.
        k: neighbours that a ball reaches to.

    Returns:
        None where no class has enough images.
    """
    classes = 1 + int(torch.cat([real_labels, made_labels]).max())
    of_real = _Sorted.of(real, real_labels, classes)
    of_made = _Sorted.of(made, made_labels, classes)
    sizes = torch.stack([of_real.counts, of_made.counts], dim=1)
    scored = (sizes > k).all(dim=1).nonzero().squeeze(1)
    found: dict[int, Prdc] = {}
    for size in sizes[scored].unique(dim=0):
        alike = scored[(sizes[scored] == size).all(dim=1)]
        for part in alike.split(_together(size, real.shape[1])):
            of_part = _of_classes(of_real.of_classes(part), of_made.of_classes(part), k)
            found |= dict(zip(part.tolist(), of_part, strict=True))
    if not found:
        return None
    every = [vars(found[label]) for label in sorted(found)]
    return Prdc(**{name: sum(one[name] for one in every) / len(every) for name in _NAMES})


_NAMES = ("precision", "recall", "density", "coverage")
_CACHED = 400_000  # float64 of the rows that are computed together: they stay in the cache


class _Sorted(NamedTuple):
    """Feature rows and where those of each class are."""

    features: Tensor  # (n, F)
    order: Tensor  # (n,) indices of rows, class after class
    starts: Tensor  # (C,) of each class its first place in `order`
    counts: Tensor  # (C,)

    @classmethod
    def of(cls, features: Tensor, labels: Tensor, classes: int) -> _Sorted:
        counts = torch.bincount(labels, minlength=classes)
        return cls(features, labels.argsort(stable=True), counts.cumsum(0) - counts, counts)

    def of_classes(self, labels: Tensor) -> Tensor:
        """(len(labels), size, F) of classes with equally many rows."""
        places = torch.arange(int(self.counts[labels[0]]))
        return self.features[self.order[self.starts[labels, None] + places]]


def _together(size: Tensor, features: int) -> int:
    """How many classes with so many rows of each side are computed at once."""
    return max(1, _CACHED // (int(size.sum()) * features))


def _of_classes(real: Tensor, made: Tensor, k: int) -> list[Prdc]:
    """`ppa` of B classes, (B, n, F) and (B, m, F), each about its own centre."""
    n, m = real.shape[1], made.shape[1]
    rows = torch.cat([real, made], dim=1).double()
    rows -= rows[:, :n].mean(dim=1, keepdim=True)
    squared = torch.bmm(rows, rows.mT)
    norms = squared.diagonal(dim1=1, dim2=2).clone()
    squared.mul_(-2).add_(norms[:, :, None]).add_(norms[:, None])
    slack = SLACK * norms.mean(dim=1, keepdim=True)
    radii = [_kth(squared[:, side, side], k) + slack for side in (slice(n), slice(n, None))]
    between = squared[:, n:, :n]
    held = between <= radii[0][:, None]
    counts = [
        _in_nearest_ball(between, radii[0], slack),
        _in_nearest_ball(between.mT, radii[1], slack),
        held.sum(dim=(1, 2)),
        held.any(dim=1).sum(dim=1),
    ]
    return [
        Prdc(precision=a / m, recall=b / n, density=c / (k * n), coverage=d / n)
        for a, b, c, d in torch.stack(counts, dim=1).tolist()
    ]


def _kth(squared: Tensor, k: int) -> Tensor:
    """(B, n): of squared distances (B, n, n) those to the k-th nearest other point."""
    squared.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    return squared.topk(k, dim=2, largest=False, sorted=False).values.amax(dim=2)


def _in_nearest_ball(squared: Tensor, radii: Tensor, slack: Tensor) -> Tensor:
    """How many rows of (B, m, n) lie in the ball (B, n) of their nearest column; of several, in
    any."""
    nearest = squared <= squared.amin(dim=2, keepdim=True) + slack[:, :, None]
    return (nearest & (squared <= radii[:, None])).any(dim=2).sum(dim=1)


def _share(true: Tensor) -> float:
    return float(true.double().mean())
