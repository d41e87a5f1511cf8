"""MIDRE: training images of which a square is erased (Tran et al., "Random Erasing vs. Model
Inversion: A Promising Defense or a False Hope?", TMLR 2025).

The classifier never sees a whole face, and a reconstruction is one: its features lie elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trapmid import types
from trapmid.augment import TrapAugmentation
from trapmid.config.bounds import PositiveShare, Share
from trapmid.training.objectives import Classify
from trapmid.types import Setting


@dataclass(frozen=True, kw_only=True)
class Defense(types.Defense):
    area: tuple[PositiveShare, PositiveShare]  # least and most of a square, as shares of the image
    fill: tuple[Share, Share, Share]  # of the square, in [0, 1]
    augmentation: TrapAugmentation | None  # before the erasing, which is last

    def __post_init__(self) -> None:
        if self.area[0] > self.area[1]:
            raise ValueError(f"area: {list(self.area)} must ascend")

    def objective(self, setting: Setting) -> types.Objective:
        """See `types.Defense`.

        Raises:
            ValueError: the least square has no pixel.
        """
        size = setting.image_shape[-1]
        if round(size * self.area[0] ** 0.5) < 1:
            raise ValueError(f"area: {self.area[0]} of {size} x {size} pixels is less than one")
        return Classify(setting.rt, augmentation=self.view)

    def view(self, images: Tensor) -> Tensor:
        """Images (N, 3, S, S) without a square each, drawn from torch's global generator."""
        if self.augmentation is not None:
            images = self.augmentation(images)
        u = torch.rand(len(images), 3).to(images.device)
        return erased(images, u, self.area, self.fill)


def erased(
    images: Tensor, u: Tensor, area: tuple[float, float], fill: tuple[float, float, float]
) -> Tensor:
    """Images (N, 3, S, S) of which one square each has the colour `fill`.

    As torchvision's RandomErasing with ratio 1: the area is uniform in `area`, as a share of the
    image, the side is rounded, and every place inside the image is as likely. There a side of S
    is drawn again; here it is S - 1.

    Args:
        u: (N, 3) uniform numbers in [0, 1).
    """
    size = images.shape[-1]
    least, most = area
    side = torch.round(size * torch.sqrt(least + u[:, 0] * (most - least))).clamp(max=size - 1)
    left, top = (torch.floor(u[:, i] * (size - side + 1)) for i in (1, 2))
    axis = torch.arange(size, device=images.device)
    across, down = (
        (axis >= start[:, None]) & (axis < (start + side)[:, None]) for start in (left, top)
    )
    inside = (down[:, :, None] & across[:, None, :])[:, None]
    return torch.where(inside, images.new_tensor(fill)[:, None, None], images)
