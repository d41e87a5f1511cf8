"""The one residual unit of this project: a body beside a skip connection."""

from __future__ import annotations

from torch import Tensor, nn


class Residual(nn.Module):
    """body(x) + scale * shortcut(x) (He et al., CVPR 2016); the scale is 1 until weakened.

    Args:
        body: any layers.
        shortcut: what makes x fit the body's output; identity where it fits already.
    """

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut: nn.Module | None = shortcut
        self.skip_scale = 1.0

    def weaken(self, scale: float) -> None:
        """Scales the skip connection; at 0 it is removed, with its parameters."""
        self.skip_scale = scale
        if scale == 0:
            self.shortcut = None

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        if self.shortcut is None:
            return out
        skip: Tensor = self.shortcut(x)
        return out + skip if self.skip_scale == 1 else out + self.skip_scale * skip
