"""Kernel Inception distance: the squared maximum mean discrepancy of two sets (Binkowski, 2018).

Unbiased, so a set of few images is comparable with one of many, where a Frechet distance grows.
float64 and all pairs: float32 kernels err by 2 to 4 % of the number's own deviation, for near
equal sets by the whole number, and a mean over random subsets adds chance to it.
Only Inception features make this number a KID.
"""

from __future__ import annotations

import torch
from torch import Tensor

_CELLS = 8_000_000  # kernel values in memory at once: 64 MB


def kid(first: Tensor, second: Tensor) -> float:
    """mean k(x, x') + mean k(y, y') - 2 mean k(x, y), x' and y' being others; may be below zero.

    The kernel is (x.y / F + 1)^3.

    Args:
        first: (n, F); n >= 2.
        second: (m, F); m >= 2.

    Raises:
        ValueError: a set has fewer than two rows, or the widths differ.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError(f"kid: needs two images on each side, has {len(first)}, {len(second)}")
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"kid: widths differ: {first.shape[1]} and {second.shape[1]}")
    first, second = first.double(), second.double()
    return (
        _within(first)
        + _within(second)
        - 2 * _kernel_sum(first, second) / (len(first) * len(second))
    )


def subset_kids(
    first: Tensor, second: Tensor, size: int, subsets: int, generator: torch.Generator
) -> Tensor:
    """KID (subsets,) float64 of random subsets of `size` rows of either set.

    Their mean is what the libraries call KID, and their deviation says how much chance is in it.

    Raises:
        ValueError: a set has fewer than `size` rows; it is never taken silently as a whole.
    """
    if min(len(first), len(second)) < size:
        raise ValueError(f"kid: subsets of {size} of {len(first)} and {len(second)} images")
    drawn = [
        [side[torch.randperm(len(side), generator=generator)[:size]] for side in (first, second)]
        for _ in range(subsets)
    ]
    return torch.tensor([kid(one, other) for one, other in drawn], dtype=torch.float64)


def _within(rows: Tensor) -> float:
    """Mean kernel of two different rows."""
    diagonal = (rows.square().sum(dim=1) / rows.shape[1] + 1).pow(3).sum()
    return (_kernel_sum(rows, rows) - float(diagonal)) / (len(rows) * (len(rows) - 1))


def _kernel_sum(first: Tensor, second: Tensor) -> float:
    size = max(1, _CELLS // len(second))
    one = first.new_ones(1)
    sums = [
        torch.addmm(one, part, second.T, alpha=1 / first.shape[1]).pow_(3).sum()
        for part in first.split(size)
    ]
    return float(torch.stack(sums).sum())
