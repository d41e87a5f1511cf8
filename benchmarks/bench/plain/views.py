"""Random views as kornia makes them in the released code: image by image, with every operation.

The random numbers are given, in the layout of `trapmid.augment`; what is drawn from them is the
same, how it is computed is not. The boxes of crops come from there, as they are no work.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from trapmid.augment import PlgView, TrapAugmentation, crop_boxes


def crop(images: Tensor, side: Tensor, left: Tensor, top: Tensor) -> Tensor:
    """One slice and one resizing an image: kornia's mode "slice"."""
    size = images.shape[-1]
    parts = []
    for i in range(len(images)):
        x, y, s = int(left[i]), int(top[i]), int(side[i])
        part = images[i : i + 1, :, y : y + s, x : x + s]
        parts.append(F.interpolate(part, size=(size, size), mode="bilinear", align_corners=True))
    return torch.cat(parts)


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """About the centre, black outside."""
    angle = torch.deg2rad(degrees)
    cos, sin, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    rows = [torch.stack([cos, -sin, zero], dim=1), torch.stack([sin, cos, zero], dim=1)]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=True)
    return F.grid_sample(images, grid.to(images), padding_mode="zeros", align_corners=True)


def flip(images: Tensor, where: Tensor) -> Tensor:
    return torch.stack([x.flip(-1) if on else x for x, on in zip(images, where, strict=True)])


def trap(images: Tensor, view: TrapAugmentation) -> Tensor:
    """A view of each image by Trap-MID's T; draws as `TrapAugmentation`, crops per batch."""
    assert view.crop_per == "batch"
    n, size = len(images), images.shape[-1]
    u = torch.rand(n, 7)
    if torch.rand(()).item() < view.crop:
        images = crop(images, *crop_boxes(u[:, :3], size, view.scale))
    if view.flip > 0:
        images = flip(images, u[:, 4] < view.flip)
    if view.rotation > 0:
        angle = view.degrees * (2 * u[:, 5] - 1)
        images = rotate(images, torch.where(u[:, 6] < view.rotation, angle, 0.0))
    return images


def plg(images: Tensor, view: PlgView, u: Tensor, order: Tensor) -> Tensor:
    """A view of each image by PLG-MI's A, from `u` (N, 9) and `order` (N, 2)."""
    images = crop(images, *crop_boxes(u[:, :3], images.shape[-1], view.scale))
    on = u[:, 3] < view.jitter_probability
    factors = 1 + view.jitter * (2 * u[:, 4:6] - 1)
    coloured = torch.cat(
        [_jitter(images[i : i + 1], factors[i], order[i]) for i in range(len(images))]
    )
    images = torch.where(on[:, None, None, None], coloured, images)
    images = flip(images, u[:, 6] < view.flip)
    angle = view.degrees * (2 * u[:, 7] - 1)
    return rotate(images, torch.where(u[:, 8] < view.rotation, angle, 0.0))


def _jitter(image: Tensor, factors: Tensor, order: Tensor) -> Tensor:
    """All four operations; saturation and hue, which are the identity, go by way of HSV."""
    weights = image.new_tensor((0.299, 0.587, 0.114))[:, None, None]

    def brightness(x: Tensor) -> Tensor:
        return (x * factors[0]).clamp(0, 1)

    def contrast(x: Tensor) -> Tensor:
        mean = (x * weights).sum(dim=1).mean()
        return (factors[1] * x + (1 - factors[1]) * mean).clamp(0, 1)

    def saturation(x: Tensor) -> Tensor:
        return _from_hsv(_to_hsv(x.clamp(0, 1)))

    chain = [contrast, brightness] if bool(order[0] < 1 / 2) else [brightness, contrast]
    chain.insert(0 if bool(order[1] < 1 / 3) else 2, saturation)
    for operation in (*chain, lambda x: _from_hsv(_to_hsv(x))):
        image = operation(image)
    return image


def _to_hsv(x: Tensor) -> Tensor:
    value, where = x.max(dim=1)
    delta = value - x.amin(dim=1)
    safe = torch.where(delta == 0, torch.ones_like(delta), delta)
    r, g, b = x.unbind(dim=1)
    hue = torch.stack([(g - b) / safe, (b - r) / safe + 2, (r - g) / safe + 4], dim=1)
    hue = hue.gather(1, where[:, None]).squeeze(1).remainder(6)
    return torch.stack([hue, delta / (value + 1e-8), value], dim=1)


def _from_hsv(x: Tensor) -> Tensor:
    hue, saturation, value = x.unbind(dim=1)
    # a channel is the value less what the hue's distance to it takes away
    parts = []
    for offset in (5.0, 3.0, 1.0):
        k = (offset + hue).remainder(6)
        away = torch.minimum(k, 4 - k).clamp(0, 1)
        parts.append(value - value * saturation * away)
    return torch.stack(parts, dim=1)
