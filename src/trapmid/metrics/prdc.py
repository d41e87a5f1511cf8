"""Precision, recall, density and coverage of made images among real ones (Naeem et al., ICML 2020).

Every image has a ball that reaches to its k-th nearest neighbour of its own kind. Which images lie
in whose balls says how natural the made ones are (precision, density) and how much of the real ones
they reach (recall, coverage).

Here a ball holds its edge (`<=`), and copies of an image are neighbours at distance zero: with
every image there k + 1 times, a copy of the real images scores 1, where the released `prdc` (`<`)
says 0. Without ties both agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from trapmid.metrics.distances import blocks, kth_neighbour, space


@dataclass(frozen=True, kw_only=True)
class Prdc:
    """Four numbers about made images among real ones."""

    precision: float  # share of the made images inside a real one's ball
    recall: float  # share of the real images inside a made one's ball
    density: float  # in how many real balls a made image lies, over k: may exceed 1
    coverage: float  # share of the real balls that hold a made image


Variant = Callable[[Tensor, Tensor, int], Prdc]
"""(real (n, F), made (m, F), k) -> the four numbers: `prdc` or `ppa`."""


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
    real images, so it is m / n of the textbook's. Meant for one class at a time: all distances are
    in memory at once. Takes and raises as `prdc`.
    """
    (real_points, made_points), slack = space(real, made)
    real_radii, made_radii = kth_neighbour(real_points, k), kth_neighbour(made_points, k)
    squared = torch.cat([block for _, (block,) in blocks(made_points, real_points)])
    held = squared <= real_radii + slack
    return Prdc(
        precision=_in_nearest_ball(squared, real_radii, slack),
        recall=_in_nearest_ball(squared.T, made_radii, slack),
        density=float(held.sum()) / (k * len(real)),
        coverage=_share(held.any(dim=0)),
    )


def per_class(
    variant: Variant,
    real: Tensor,
    real_labels: Tensor,
    made: Tensor,
    made_labels: Tensor,
    k: int,
) -> Prdc | None:
    """Means of `variant` over the classes that have more than k images on both sides.

    PPA's script evaluates its first class on images of all classes; that is not followed.

    Args:
        variant: `prdc` or `ppa`.
        real: (n, F), with `real_labels` (n,) int64.
        made: (m, F), with `made_labels` (m,) int64.
        k: neighbours that a ball reaches to.

    Returns:
        None where no class has enough images.
    """
    found = []
    for label in sorted(set(made_labels.tolist())):
        sides = real[real_labels == label], made[made_labels == label]
        if min(map(len, sides)) > k:
            found.append(variant(*sides, k))
    if not found:
        return None
    return Prdc(**{name: sum(vars(one)[name] for one in found) / len(found) for name in _NAMES})


_NAMES = ("precision", "recall", "density", "coverage")


def _in_nearest_ball(squared: Tensor, radii: Tensor, slack: float) -> float:
    """Share of rows (n, m) that lie in the ball of their nearest column; of several, in any."""
    nearest = squared <= squared.amin(dim=1, keepdim=True) + slack
    return _share((nearest & (squared <= radii + slack)).any(dim=1))


def _share(true: Tensor) -> float:
    return float(true.double().mean())
