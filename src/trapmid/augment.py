"""Random views of images: differentiable, batched, and drawn from numbers that the caller gives.

Every view of an attack is a pure function of images and of uniform numbers `u` (N, draws) in
[0, 1): a search feeds numbers that depend on the row alone, a training loop feeds `torch.rand`.
Trap-MID's augmentation draws from the global stream, as trainings alone use it. They equal
kornia 0.7.1's slices and rotations, in two batched `grid_sample` calls instead of a Python loop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from trapmid.config.bounds import Degrees, Positive, PositiveShare, Share

_GREY = (0.299, 0.587, 0.114)


def crop_boxes(u: Tensor, size: int, least_area: float) -> tuple[Tensor, Tensor, Tensor]:
    """Random boxes of kornia's RandomResizedCrop at ratio 1: (side, left, top), each (N,).

    The area is uniform in [least_area, 1] of the image, the side is rounded, and a side of `size`
    is drawn again: so the area is uniform below the point where the side would round up to `size`.
    (kornia gives up after ten draws; that has probability under 1e-10.)

    Args:
        u: (N, 3) uniform numbers.
    """
    most_area = ((size - 0.5) / size) ** 2
    if least_area >= most_area:
        raise ValueError(f"scale: {least_area} leaves no crop smaller than {size} pixels")
    side = torch.round(size * torch.sqrt(least_area + u[:, 0] * (most_area - least_area)))
    side = side.clamp(max=size - 1)
    left, top = (torch.floor(u[:, i] * (size - side + 1)) for i in (1, 2))
    return side, left, top


def crop(images: Tensor, side: Tensor, left: Tensor, top: Tensor) -> Tensor:
    """Cuts square boxes and resizes them to the full size: bilinear, corners aligned."""
    size = images.shape[-1]
    steps = torch.arange(size, device=images.device, dtype=images.dtype) / (size - 1)
    xs = left[:, None] + steps * (side[:, None] - 1)  # (N, S), in source pixels
    ys = top[:, None] + steps * (side[:, None] - 1)
    return _sample(images, xs[:, None, :].expand(-1, size, -1), ys[:, :, None].expand(-1, -1, size))


def cut(images: Tensor, width: Tensor, height: Tensor, left: Tensor, top: Tensor) -> Tensor:
    """Cuts boxes (N,) each and resizes them to the full size, as torchvision's `resized_crop`.

    Bilinear with pixels as areas, and blind to what lies outside the box.
    """
    size = images.shape[-1]
    centres = (torch.arange(size, device=images.device, dtype=images.dtype) + 0.5) / size

    def along(start: Tensor, side: Tensor) -> Tensor:  # (N, S), in source pixels
        inside = centres * side[:, None] - 0.5
        return start[:, None] + torch.minimum(inside.clamp(min=0), side[:, None] - 1)

    xs, ys = along(left, width), along(top, height)
    return _sample(images, xs[:, None, :].expand(-1, size, -1), ys[:, :, None].expand(-1, -1, size))


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Rotates about the centre by (N,) degrees: bilinear, black outside."""
    size = images.shape[-1]
    centre = (size - 1) / 2
    angle = torch.deg2rad(degrees)[:, None, None]
    axis = torch.arange(size, device=images.device, dtype=images.dtype) - centre
    x, y = axis[None, None, :], axis[None, :, None]
    xs = centre + torch.cos(angle) * x - torch.sin(angle) * y
    ys = centre + torch.sin(angle) * x + torch.cos(angle) * y
    return _sample(images, xs, ys)


def flip(images: Tensor, where: Tensor) -> Tensor:
    """Mirrors the images for which `where` (N,) is true."""
    return torch.where(where[:, None, None, None], images.flip(-1), images)


def jitter(
    images: Tensor,
    brightness: Tensor,
    contrast: Tensor,
    contrast_first: Tensor,
    saturation_first: Tensor,
) -> Tensor:
    """Brightness and contrast by (N,) factors, each clamped to [0, 1], in the order asked for.

    kornia's saturation of factor 1 changes nothing but clamps, too: that matters where it comes
    before both, `saturation_first`. Hue of 0 changes nothing at all.
    """

    def brighten(x: Tensor) -> Tensor:
        return (x * brightness[:, None, None, None]).clamp(0, 1)

    def stretch(x: Tensor) -> Tensor:
        weights = x.new_tensor(_GREY)[:, None, None]
        mean = (x * weights).sum(dim=1).mean(dim=(1, 2))[:, None, None, None]
        factor = contrast[:, None, None, None]
        return (factor * x + (1 - factor) * mean).clamp(0, 1)

    images = torch.where(saturation_first[:, None, None, None], images.clamp(0, 1), images)
    first = contrast_first[:, None, None, None]
    return torch.where(first, brighten(stretch(images)), stretch(brighten(images)))


def _sample(images: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    grid = torch.stack([xs, ys], dim=-1) * (2 / (images.shape[-1] - 1)) - 1
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=True)


@dataclass(frozen=True, kw_only=True)
class TrapAugmentation:
    """Trap-MID's T: crop, flip, rotation, each with its own probability (Trap-MID, App. C.3, D.5).

    `crop_per` "batch" crops the whole batch or nothing, as kornia and so the official code do;
    "image" decides for every image, as the paper reads.
    """

    crop: Share
    crop_per: Literal["batch", "image"]
    scale: PositiveShare  # least area of a crop, as a share of the image
    flip: Share
    rotation: Share
    degrees: Degrees

    def __call__(self, images: Tensor) -> Tensor:
        """A fresh view of (N, 3, S, S), drawn from torch's global generator."""
        n, size = len(images), images.shape[-1]
        u = torch.rand(n, 7).to(images.device)
        whole_batch = torch.rand(()).item()  # the global generator is on the CPU: no device sync
        if self.crop_per == "image":
            boxes = crop_boxes(u[:, :3], size, self.scale)
            keep = (u[:, 3] < self.crop)[:, None, None, None]
            images = torch.where(keep, crop(images, *boxes), images)
        elif whole_batch < self.crop:
            images = crop(images, *crop_boxes(u[:, :3], size, self.scale))
        if self.flip > 0:
            images = flip(images, u[:, 4] < self.flip)
        if self.rotation > 0:
            angle = self.degrees * (2 * u[:, 5] - 1)
            images = rotate(images, torch.where(u[:, 6] < self.rotation, angle, 0.0))
        return images


@dataclass(frozen=True, kw_only=True)
class PlgView:
    """PLG-MI's A: crop, colour jitter, flip, small rotation (official kornia chain)."""

    DRAWS = 9
    ORDERS = 2  # uniform numbers for the order of the jitter's operations

    scale: PositiveShare
    jitter: Share
    jitter_probability: Share  # 0.5 when the prior is trained, 1 in the latent search
    flip: Share
    rotation: Share
    degrees: Degrees

    def __call__(self, images: Tensor, u: Tensor, order: Tensor) -> Tensor:
        """Views of (N, 3, S, S) from `u` (N, DRAWS); `order` (N, ORDERS), uniform, is the jitter's.

        All orders of brightness, contrast and saturation are equally likely: which of the first
        two comes first is even, and says nothing about whether saturation, one in three, does.
        """
        images = crop(images, *crop_boxes(u[:, :3], images.shape[-1], self.scale))
        on = u[:, 3] < self.jitter_probability
        factors = 1 + self.jitter * (2 * u[:, 4:6] - 1)
        coloured = jitter(
            images, factors[:, 0], factors[:, 1], order[:, 0] < 1 / 2, order[:, 1] < 1 / 3
        )
        images = torch.where(on[:, None, None, None], coloured, images)
        images = flip(images, u[:, 6] < self.flip)
        angle = self.degrees * (2 * u[:, 7] - 1)
        return rotate(images, torch.where(u[:, 8] < self.rotation, angle, 0.0))


@dataclass(frozen=True, kw_only=True)
class ResizedCrop:
    """torchvision's RandomResizedCrop to the size of the image, from numbers that are given.

    The area is uniform in `area`, as a share of the image, and the logarithm of width over height
    in `ratio`; a box that does not fit is drawn again, ten times at most, then the image is whole.
    """

    _TRIES = 10
    DRAWS = 2 * _TRIES + 2

    area: tuple[PositiveShare, PositiveShare]
    ratio: tuple[Positive, Positive]

    def __post_init__(self) -> None:
        for name, (low, high) in (("area", self.area), ("ratio", self.ratio)):
            if low > high:
                raise ValueError(f"{name}: {[low, high]} must ascend")

    def boxes(self, u: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(width, height, left, top), (N,) each, from `u` (N, DRAWS)."""
        (least, most), (flat, tall) = self.area, (math.log(r) for r in self.ratio)
        area = size**2 * (least + u[:, : self._TRIES] * (most - least))
        ratio = torch.exp(flat + u[:, self._TRIES : 2 * self._TRIES] * (tall - flat))
        width, height = torch.round((area * ratio).sqrt()), torch.round((area / ratio).sqrt())
        fits = (width <= size) & (height <= size) & (width >= 1) & (height >= 1)
        first = fits.to(torch.int64).argmax(dim=1, keepdim=True)
        any_fits = fits.any(dim=1)
        width, height = (
            torch.where(any_fits, side.gather(1, first).squeeze(1), size)
            for side in (width, height)
        )
        left = torch.floor(u[:, -2] * (size - width + 1))
        top = torch.floor(u[:, -1] * (size - height + 1))
        return width, height, left, top

    def __call__(self, images: Tensor, u: Tensor) -> Tensor:
        """A view of each of (N, 3, S, S) from `u` (N, DRAWS)."""
        return cut(images, *self.boxes(u, images.shape[-1]))
