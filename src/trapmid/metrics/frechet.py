"""The Frechet distance between two Gaussians fitted to feature rows."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def frechet(first: Tensor, second: Tensor) -> float:
    """|m1 - m2|^2 + tr S1 + tr S2 - 2 tr sqrt(S1 S2), with sample covariances (n - 1).

    With S1 = A A' and S2 = B B', tr sqrt(S1 S2) is the nuclear norm of A'B: the eigenvalues of
    S1 S2 are the squared singular values of A'B. No matrix square root is taken, so fewer images
    than dimensions and singular covariances do no harm.
    Only Inception features make this number an FID.

    Args:
        first: (n, F) features; n >= 2.
        second: (m, F) features; m >= 2.

    Raises:
        ValueError: a set has fewer than two rows or the widths differ.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError(f"frechet: needs two images on each side, has {len(first)}, {len(second)}")
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"frechet: widths differ: {first.shape[1]} and {second.shape[1]}")
    first, second = first.double(), second.double()
    gap = (first.mean(dim=0) - second.mean(dim=0)).square().sum()
    a, b = _root(first), _root(second)
    overlap = torch.linalg.svdvals(a @ b.T).sum()
    distance = gap + a.square().sum() + b.square().sum() - 2 * overlap
    return max(float(distance), 0.0)  # equal sets may miss zero by a rounding error


def _root(features: Tensor) -> Tensor:
    """R (min(n, F), F) with R'R the sample covariance of `features` (n, F)."""
    centred = (features - features.mean(dim=0)) / math.sqrt(len(features) - 1)
    if len(centred) <= centred.shape[1]:
        return centred
    upper: Tensor = torch.linalg.qr(centred, mode="r").R
    return upper
