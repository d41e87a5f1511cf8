"""Flat shapes given by signed distances, and the window of a canvas on which they are painted."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def ramp(value: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Smoothstep: 0 below `low`, 1 above `high`."""
    t = ((value - low) / (high - low)).clamp_(0, 1)
    return t * t * (3 - 2 * t)


def ellipse(u: Tensor, v: Tensor, rx: Tensor | float, ry: Tensor | float) -> Tensor:
    """Signed distance, about, from points (u, v) to an ellipse round the origin."""
    smaller = torch.minimum(*(torch.as_tensor(r, dtype=torch.float64) for r in (rx, ry)))
    return (torch.sqrt((u / rx).square_() + (v / ry).square_()) - 1).mul_(smaller)


def box(
    u: Tensor, v: Tensor, half_u: Tensor | float, half_v: Tensor | float, radius: Tensor | float
) -> Tensor:
    """Signed distance from points (u, v) to a rounded box round the origin."""
    qu = u.abs() - (half_u - radius)
    qv = v.abs() - (half_v - radius)
    outside = torch.sqrt(qu.clamp(0).square_() + qv.clamp(0).square_())
    return outside + torch.maximum(qu, qv).clamp_(max=0) - radius


def almond(t: Tensor, v: Tensor, above: Tensor, below: Tensor) -> Tensor:
    """Distance to the region -above(1-t^2) < v < below(1-t^2): eyes and lips."""
    bulge = 1 - t.square()
    return torch.maximum(-v - above * bulge, v - below * bulge)


@dataclass(frozen=True)
class Patch:
    """A window of the canvas with its head coordinates.

    `canvas` (N, 3, h, w) is a view that painting changes; `u` and `v` are (N, h, w); `pixel` is
    a pixel's width in head units, the least softness of an edge; `window` is its place in the
    whole image.
    """

    window: tuple[slice, ...]
    canvas: Tensor
    u: Tensor
    v: Tensor
    pixel: float

    def cover(self, distance: Tensor, soft: float = 0.0) -> Tensor:
        """Coverage in [0, 1] of a shape, its edge `soft` head units wide (a pixel at least)."""
        width = max(soft, 1.3 * self.pixel)
        return (0.5 - distance / width).clamp_(0, 1)

    def paint(
        self, distance: Tensor, colour: Tensor, opacity: Tensor | float = 1.0, soft: float = 0.0
    ) -> None:
        """Lay a shape of one colour over the canvas."""
        self.blend(colour, self.cover(distance, soft).mul_(opacity))

    def blend(self, colour: Tensor, alpha: Tensor) -> None:
        """Lay `colour` (N, 3, 1, 1) over the canvas with `alpha` (N, h, w) in [0, 1]."""
        self.canvas.lerp_(colour, alpha.unsqueeze(1))
