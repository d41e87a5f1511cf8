"""What reconstructions look like beside photographs: blurred, shifted, noisy, of other contrast.

A judge that saw sharp faces alone would refuse a blurred one for its blur, whoever it shows.
"""

from __future__ import annotations

import torch
from torch import Tensor

_SHARPEST, _MOST_BLURRED = 0.3, 1.8  # deviation of the Gaussian in pixels; 0.3: next to none
_SHIFT, _SCALE = 0.06, 0.08  # of a side
_CONTRAST = (0.7, 1.2)
_BRIGHTNESS, _CAST = 0.06, 0.04  # of all channels, of each
_NOISE = 0.08  # deviation, at most


def degrade(images: Tensor) -> Tensor:
    """Every image (N, 3, S, S) in [0, 1] changed in its own way, by torch's global generator.

    Half of the images are blurred, half are noisy; all are moved, flipped or not, and recoloured.
    """
    n = len(images)
    blur = _MOST_BLURRED * torch.rand(n) * (torch.rand(n) < 0.5)
    images = resample(images, blur.clamp(min=_SHARPEST), _moved(n), _moved(n))
    images = torch.where((torch.rand(n) < 0.5)[:, None, None, None], images.flip(-1), images)
    low, high = _CONTRAST
    contrast = low + (high - low) * torch.rand(n, 1, 1, 1)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    offset = _BRIGHTNESS * _signed(n, 1) + _CAST * _signed(n, 3)
    deviation = _NOISE * torch.rand(n) * (torch.rand(n) < 0.5)
    noise = deviation[:, None, None, None] * torch.randn_like(images)
    return ((images - mean) * contrast + mean + offset + noise).clamp(0, 1)


def resample(
    images: Tensor, blur: Tensor, rows: tuple[Tensor, Tensor], columns: tuple[Tensor, Tensor]
) -> Tensor:
    """Images (N, 3, S, S) blurred, moved and scaled along each axis: two products of matrices.

    Args:
        blur: (N,) deviation of the Gaussian in pixels.
        rows, columns: (N,) scale and (N,) shift as a share of a side, for each axis.
    """
    size = images.shape[-1]
    down, across = (_weights(size, blur, *axis) for axis in (rows, columns))
    moved: Tensor = down[:, None] @ images @ across[:, None].mT
    return moved


def _weights(size: int, blur: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """(N, S, S): row i holds what output pixel i takes of every input pixel; rows sum to 1."""
    axis = torch.arange(size, dtype=torch.float32)
    centre = (size - 1) / 2
    source = scale[:, None] * (axis - centre) + centre + size * shift[:, None]
    source = source.clamp(0, size - 1)  # the border goes on outside
    gap = (source[:, :, None] - axis) / blur[:, None, None]
    return torch.softmax(-(gap**2) / 2, dim=2)


def _moved(n: int) -> tuple[Tensor, Tensor]:
    return 1 + _SCALE * _signed(n).flatten(), _SHIFT * _signed(n).flatten()


def _signed(n: int, channels: int = 1) -> Tensor:
    """Uniform numbers (N, channels, 1, 1) in [-1, 1)."""
    return 2 * torch.rand(n, channels, 1, 1) - 1
