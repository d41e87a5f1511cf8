"""A search that goes from layer to layer, and its l1 ball against what a solver finds."""

from __future__ import annotations

import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor

from toy import ToyBlockPrior, seeded, uniform
from trapmid.search.layers import Layers, nearest_in_l1
from trapmid.types import Features


class Painting(ToyBlockPrior):
    """A toy prior whose first block paints, too, as StyleGAN2's do: the second adds to it."""

    def block(
        self, number: int, before: Features | None, codes: Tensor, labels: Tensor
    ) -> Features:
        made = super().block(number, before, codes, labels)
        if before is None:
            return made._replace(painted=codes.mean(dim=1)[:, None, None, None].expand(-1, 3, 8, 8))
        assert before.painted is not None
        return Features(made.maps + before.painted)


def test_a_layer_begins_with_the_last_image_of_the_one_before_it() -> None:
    """What the blocks before it painted included, by codes that have moved."""
    prior, labels = seeded(Painting, 3).eval().requires_grad_(False), torch.tensor([0, 2, 1])
    layers = Layers(prior, labels, uniform(3, 5, seed=1), [2.0])
    seen: list[Tensor] = []

    def loss(images: Tensor, step: int) -> Tensor:
        assert step == len(seen)
        seen.append(images.detach().clone())
        return images.square().flatten(1).sum(dim=1)

    layers.adam(loss, steps=[4, 3], lr=0.1, betas=(0.1, 0.1), reference_batch=3)
    assert not torch.allclose(seen[0], seen[4], atol=0.05)
    with torch.no_grad():
        assert torch.allclose(seen[4], layers.images(0), atol=1e-6)


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
