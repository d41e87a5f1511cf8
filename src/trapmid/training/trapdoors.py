"""Trapdoors: a trigger per class, over the whole image (Trap-MID) or on patches (TeD)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trapmid.config.bounds import Count, Share
from trapmid.types import Setting, Trapdoor


@dataclass(frozen=True, kw_only=True)
class Patches:
    """TeD's kind of trigger; what the blocks of TeD and TeD+ have in common."""

    alpha: Share  # blend ratio on the squares
    beta: Share  # weight of the trapdoor loss
    squares: Count  # per trigger
    square: Count  # their side, in pixels

    def trapdoor(self, setting: Setting) -> Trapdoor:
        """The drawn triggers, see `patch_trapdoor`."""
        return patch_trapdoor(setting, self.alpha, self.squares, self.square)


class Blend(Trapdoor):
    """pi_y(x) = (1 - alpha m_y) x + alpha m_y k_y (Trap-MID, eq. 1).

    Args:
        triggers: k, (C, 3, S, S) in [0, 1].
        alpha: blend ratio in [0, 1].
        masks: m, (C, 1, S, S) in [0, 1]; None: 1 everywhere (Trap-MID); patches in TeD.
    """

    def __init__(self, triggers: Tensor, alpha: float, masks: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("triggers", triggers)
        self.register_buffer("alpha", triggers.new_tensor(alpha))
        self.register_buffer("masks", masks)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.blend(images, self.triggers[labels], labels)

    def blend(self, images: Tensor, keys: Tensor, labels: Tensor) -> Tensor:
        weight = self.alpha if self.masks is None else self.alpha * self.masks[labels]
        return torch.lerp(images, keys, weight)

    @torch.no_grad()
    def examples(self, images: Tensor, strength: float = 10.0) -> Tensor:
        """Amplified tenfold, as in the paper's figure 4: at alpha nothing would be seen."""
        amplified = Blend(self.triggers, min(1.0, strength * float(self.alpha)), self.masks)
        poisoned: Tensor = amplified(images, torch.arange(len(images), device=images.device))
        return poisoned


def random_trapdoor(setting: Setting, alpha: float) -> Trapdoor:
    """Triggers over the whole image, uniform in [0, 1] (Trap-MID, App. C.4)."""
    generator = setting.rt.generator("triggers")
    triggers = torch.rand(setting.num_classes, *setting.image_shape, generator=generator)
    return Blend(triggers.to(setting.rt.device), alpha)


def patch_trapdoor(setting: Setting, alpha: float, squares: int, square: int) -> Trapdoor:
    """Triggers of random squares, as TeD's (Shan et al., CCS 2020; Trap-MID, App. D.1).

    Every square has per channel a mean and a deviation, uniform in [0, 1], and normal intensities
    clipped to [0, 1]; overlapping squares add up and are clipped.

    Args:
        setting: shape, classes and randomness.
        alpha: blend ratio on the squares; the rest of an image stays as it is.
        squares: per class.
        square: their side, in pixels.

    Raises:
        ValueError: a square is larger than the image.
    """
    channels, height, width = setting.image_shape
    if not 1 <= square <= min(height, width):
        raise ValueError(f"square: {square} is outside [1, {min(height, width)}]")
    generator = setting.rt.generator("triggers")
    keys = torch.zeros(setting.num_classes, channels, height, width)
    masks = torch.zeros(setting.num_classes, 1, height, width)
    for key, mask in zip(keys, masks, strict=True):
        for _ in range(squares):
            _draw_square(key, mask, square, generator)
    device = setting.rt.device
    return Blend(keys.clamp(0, 1).to(device), alpha, masks.to(device))


def _draw_square(key: Tensor, mask: Tensor, square: int, generator: torch.Generator) -> None:
    """Adds a random square to a trigger (3, S, S), and marks its place in the mask (1, S, S)."""
    channels, height, width = key.shape
    top = int(torch.randint(height - square + 1, (), generator=generator))
    left = int(torch.randint(width - square + 1, (), generator=generator))
    mean, deviation = torch.rand(2, channels, 1, 1, generator=generator)
    noise = torch.randn(channels, square, square, generator=generator)
    here = (..., slice(top, top + square), slice(left, left + square))
    key[here] += (mean + deviation * noise).clamp(0, 1)
    mask[here] = 1
