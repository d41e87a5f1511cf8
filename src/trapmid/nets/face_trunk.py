"""A small residual trunk (He et al., 2016) of judges of drawn faces.

Where an eye or a chin lies tells who a face shows, so the head keeps positions.
"""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from trapmid.nets.residual import Residual

_WIDTHS = (32, 64, 96)


class FaceTrunk(nn.Module):
    """Images (N, 3, s, s) float32 in [0, 1], of any size, become vectors (N, `outputs`).

    Args:
        image_size: pixels of a side that it works on, a multiple of 8 of at least 16.
        outputs: how many numbers an image gets.

    Raises:
        ValueError: the image size does not fit.
    """

    def __init__(self, image_size: int, outputs: int) -> None:
        super().__init__()
        if image_size < 16 or image_size % 8:
            raise ValueError(f"image_size: must be a multiple of 8 >= 16, is {image_size}")
        first, *_, last = _WIDTHS
        self.image_size = image_size
        self.stem = _convolution(3, first, kernel=5, stride=2)
        self.body = nn.Sequential(
            *(_unit(inside, outside) for inside, outside in itertools.pairwise(_WIDTHS))
        )
        self.head = nn.Linear(last * (image_size // 8) ** 2, outputs)

    def forward(self, images: Tensor) -> Tensor:
        images = resized(images, self.image_size)
        maps: Tensor = self.body(self.stem(2 * images - 1))
        vectors: Tensor = self.head(maps.flatten(1))
        return vectors


def resized(images: Tensor, size: int) -> Tensor:
    """Images (N, 3, S, S) of `size` pixels a side: bilinear, and averaged where they shrink."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)


def _convolution(inside: int, outside: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
    )


def _unit(inside: int, outside: int) -> nn.Sequential:
    """A residual unit that halves the map."""
    body = nn.Sequential(
        *_convolution(inside, outside, kernel=3, stride=2),
        nn.Conv2d(outside, outside, 3, 1, 1, bias=False),
        nn.BatchNorm2d(outside),
    )
    shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inside, outside, 1, bias=False))
    return nn.Sequential(Residual(body, shortcut), nn.ReLU())
