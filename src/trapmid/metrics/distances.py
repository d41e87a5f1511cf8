"""Squared distances between many feature rows: fast, in bounded memory, and ties stay ties.

|x - y|^2 = |x|^2 + |y|^2 - 2 x.y is a matrix product, ten times as fast as the differences, but it
cancels where two points nearly meet. Rows are centred first and float64, so what is lost is far
below `slack`, under which two squared distances count as equal. One is needed anyway: features of
one image differ in their last bits where it stood in another batch, and copies of an image
(CelebA has them, a collapsed attack repeats itself) must be as near as themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

SLACK = 1e-10  # of the mean squared norm; float32 features of one image differ by 1e-12 of it
_CELLS = 8_000_000  # distances in memory at once: 64 MB


class Points(NamedTuple):
    """Feature rows that distances are taken between."""

    rows: Tensor  # (n, F) float64, centred
    norms: Tensor  # (n,) squared

    def __len__(self) -> int:
        return len(self.rows)


class Space(NamedTuple):
    """Sets of points about one centre."""

    sets: tuple[Points, ...]
    slack: float  # squared distances that differ by less count as equal


def space(*features: Tensor) -> Space:
    """The sets `features`, (n, F) each, about the mean of the first; `slack` by the scale of all.

    Raises:
        ValueError: a set is empty, or the widths differ.
    """
    if not all(len(one) for one in features):
        raise ValueError(f"distances: a set is empty, sizes {[len(one) for one in features]}")
    if len(widths := {one.shape[1] for one in features}) > 1:
        raise ValueError(f"distances: widths differ: {sorted(widths)}")
    centre = features[0].double().mean(dim=0)
    rows = [one.double() - centre for one in features]
    sets = tuple(Points(one, one.square().sum(dim=1)) for one in rows)
    scale = torch.cat([one.norms for one in sets]).mean()
    return Space(sets, SLACK * float(scale))


def blocks(first: Points, *others: Points) -> Iterator[tuple[slice, list[Tensor]]]:
    """Some rows of `first` at a time, with their squared distances (rows, m) to each of `others`.

    Rounding may leave a distance of nothing a little below zero.
    """
    size = max(1, _CELLS // sum(len(other) for other in others))
    for start in range(0, len(first), size):
        rows = slice(start, start + size)
        part, norms = first.rows[rows], first.norms[rows, None]
        yield (
            rows,
            [torch.addmm(o.norms[None], part, o.rows.T, alpha=-2).add_(norms) for o in others],
        )


def kth_neighbour(points: Points, k: int) -> Tensor:
    """Squared distance (n,) from every point to the k-th nearest *other* one; copies count.

    Raises:
        ValueError: there are no k others.
    """
    if len(points) <= k:
        raise ValueError(f"distances: {len(points)} points have no {k} neighbours each")
    found = torch.empty_like(points.norms)
    for rows, (squared,) in blocks(points, points):
        squared.diagonal(offset=rows.start)[: len(squared)] = torch.inf
        found[rows] = squared.topk(k, dim=1, largest=False, sorted=False).values.amax(dim=1)
    return found
