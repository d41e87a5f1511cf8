"""The l1 ball, against what a solver finds."""

from __future__ import annotations

import pytest
import torch
from scipy.optimize import brentq

from toy import uniform
from trapmid.search.layers import nearest_in_l1


def excess(shrink: float, point: torch.Tensor, radius: float) -> float:
    return float((point.abs() - shrink).clamp(min=0).sum()) - radius


@pytest.mark.parametrize("radius", [0.1, 1.0, 3.0])
def test_nearest_points_in_the_ball(radius: float) -> None:
    """By the condition of Karush, Kuhn and Tucker: sizes shrink by the root of a sum."""
    points = (2 * uniform(20, 9, seed=4) - 1).double()
    found = nearest_in_l1(points, radius)
    for point, near in zip(points, found, strict=True):
        if point.abs().sum() <= radius:
            assert torch.equal(near, point)
            continue

        shrink = brentq(excess, 0, float(point.abs().max()), args=(point, radius), xtol=1e-12)
        wanted = point.sign() * (point.abs() - shrink).clamp(min=0)
        assert torch.allclose(near, wanted, atol=1e-9)
        assert near.abs().sum().item() == pytest.approx(radius)


def test_points_inside_and_on_the_rim_stay() -> None:
    points = torch.tensor([[0.0, 0.0], [0.5, -0.5], [-0.2, 0.1]])
    assert torch.equal(nearest_in_l1(points, 1.0), points)
