"""The Frechet distance against SciPy's matrix root and closed forms (T9)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from trapmid.metrics.frechet import Gaussian, frechet


def by_scipy(first: Tensor, second: Tensor) -> float:
    """The usual recipe: scipy.linalg.sqrtm of the product of the covariances."""
    x, y = first.double().numpy(), second.double().numpy()
    covariances = [np.cov(x, rowvar=False), np.cov(y, rowvar=False)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # singular products; deprecations of 1.17
        root: Any = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    gap = x.mean(axis=0) - y.mean(axis=0)
    return float(gap @ gap + sum(np.trace(c) for c in covariances) - 2 * np.trace(root).real)


def samples(count: int, width: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(width, width, generator=generator, dtype=torch.float64) / width**0.5
    shift = torch.randn(width, generator=generator, dtype=torch.float64)
    return torch.randn(count, width, generator=generator, dtype=torch.float64) @ mix + shift


@pytest.mark.parametrize(("n", "m"), [(400, 300), (50, 300), (300, 40), (20, 30), (64, 64)])
def test_equals_scipy(n: int, m: int) -> None:
    """Full rank, and fewer images than the 64 dimensions on one side or on both."""
    first, second = samples(n, 64, 0), samples(m, 64, 1)
    assert frechet(first, second) == pytest.approx(by_scipy(first, second), rel=1e-3)
    assert frechet(first, Gaussian.of(second)) == frechet(first, second)


def test_float32_features_are_summed_in_float64() -> None:
    """A thousand rows far from the origin: in float32 the digits of the covariance would go."""
    first, second = ((samples(1000, 8, seed) + 1e4).float() for seed in (0, 1))
    assert frechet(first, second) == frechet(first.double(), second.double())


def test_closed_form_for_diagonal_gaussians() -> None:
    """Orthogonal designs have exactly diagonal covariances: sum of (mean and std gaps)^2."""
    design = torch.linalg.qr(torch.cat([torch.ones(32, 1), samples(32, 5, 0)], dim=1).double()).Q[
        :, 1:
    ]  # orthonormal columns, orthogonal to the ones
    stds = [torch.tensor(s, dtype=torch.float64) for s in ([1, 2, 3, 0, 0.5], [2, 2, 0, 0, 4.0])]
    means = [torch.tensor(s, dtype=torch.float64) for s in ([0, 0, 1, 5, 0], [1, 0, -1, 5, 2.0])]
    first, second = (design * 31**0.5 * s + m for s, m in zip(stds, means, strict=True))
    expected = (means[0] - means[1]).square().sum() + (stds[0] - stds[1]).square().sum()
    assert frechet(first, second) == pytest.approx(float(expected), rel=1e-10)


def test_a_set_is_at_no_distance_from_itself_in_any_order() -> None:
    for count in (300, 20):
        first = samples(count, 64, 0)
        assert 0 <= frechet(first, first.flip(0)) < 1e-8


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="two images on each side"):
        frechet(torch.ones(1, 3), torch.ones(5, 3))
    with pytest.raises(ValueError, match="widths differ"):
        frechet(torch.ones(4, 2), torch.ones(5, 3))
    with pytest.raises(ValueError, match="two images on each side"):
        Gaussian.of(torch.ones(1, 3))
