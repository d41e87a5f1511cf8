"""The Frechet distance between two Gaussians fitted to feature rows."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Gaussian(NamedTuple):
    """What a Frechet distance asks of a set: most of its time, if the set is large."""

    mean: Tensor  # (F,) float64
    root: Tensor  # (min(n, F), F) float64; root' root is the sample covariance (n - 1)

    @classmethod
    def of(cls, features: Tensor) -> Gaussian:
        """Fitted to `features` (n, F); n >= 2.

        Raises:
            ValueError: there are fewer than two rows.
        """
        if len(features) < 2:
            raise ValueError(f"frechet: needs two images on each side, has {len(features)}")
        features = features.double()
        return cls(features.mean(dim=0), _root(features))


def frechet(first: Tensor, second: Tensor | Gaussian) -> float:
    """|m1 - m2|^2 + tr S1 + tr S2 - 2 tr sqrt(S1 S2), with sample covariances (n - 1).

    With S1 = A A' and S2 = B B', tr sqrt(S1 S2) is the nuclear norm of A'B: the eigenvalues of
    S1 S2 are the squared singular values of A'B. No matrix square root is taken, so fewer images
    than dimensions and singular covariances do no harm.
    Only Inception features make this number an FID.

    Args:
        first: (n, F) features; n >= 2.
        second: (m, F) features; m >= 2; fitted already where many are compared with them.

    Raises:
        ValueError: a set has fewer than two rows or the widths differ.
    """
    one = Gaussian.of(first)
    other = second if isinstance(second, Gaussian) else Gaussian.of(second)
    widths = len(one.mean), len(other.mean)
    if widths[0] != widths[1]:
        raise ValueError(f"frechet: widths differ: {widths[0]} and {widths[1]}")
    gap = (one.mean - other.mean).square().sum()
    overlap = torch.linalg.svdvals(one.root @ other.root.T).sum()
    distance = gap + one.root.square().sum() + other.root.square().sum() - 2 * overlap
    return max(float(distance), 0.0)  # equal sets may miss zero by a rounding error


def _root(features: Tensor) -> Tensor:
    """R (min(n, F), F) with R'R the sample covariance of `features` (n, F)."""
    centred = (features - features.mean(dim=0)) / math.sqrt(len(features) - 1)
    if len(centred) <= centred.shape[1]:
        return centred
    upper: Tensor = torch.linalg.qr(centred, mode="r").R
    return upper
