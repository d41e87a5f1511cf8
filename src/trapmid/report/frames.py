"""Verdicts on images as frames that no colour vision is needed for.

Recognised: a solid blue frame and a tick. Not recognised: a dashed orange frame and a cross. The
colours are those of Okabe and Ito (2008).
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

HIT, MISS = (0.0, 0.447, 0.698), (0.835, 0.369, 0.0)
WIDTH = 4  # of a frame, in pixels
LEGEND = "Solid blue frame, tick: the evaluator recognises the person; dashed orange, cross: not."

_DASH, _GAP = 9, 7  # pixels of a dashed frame
_BADGE = 15  # side of the tick's or cross's square
_TICK = ((3, 7), (6, 11), (12, 3))
_CROSS = (((3, 3), (11, 11)), ((3, 11), (11, 3)))


def framed(pixels: Tensor, recognised: bool | None) -> Tensor:
    """An image with its verdict around it, and in its upper right corner.

    Args:
        pixels: (3, S, S) float in [0, 1].
        recognised: None: no verdict, a white border.

    Returns:
        (3, S + 2 WIDTH, S + 2 WIDTH).
    """
    side = pixels.shape[-1] + 2 * WIDTH
    tile = torch.ones(3, side, side)
    if recognised is not None:
        tile[:, _outline(side, dashed=not recognised)] = _column(HIT if recognised else MISS)
    tile[:, WIDTH:-WIDTH, WIDTH:-WIDTH] = pixels
    if recognised is not None:
        tile[:, WIDTH : WIDTH + _BADGE, -WIDTH - _BADGE : -WIDTH] = _badge(recognised)
    return tile


def _outline(side: int, *, dashed: bool) -> Tensor:
    """(side, side) bool: where the frame has its colour; the inside is covered by the image."""
    if not dashed:
        return torch.ones(side, side, dtype=torch.bool)
    on = torch.arange(side) % (_DASH + _GAP) < _DASH
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[:WIDTH], mask[-WIDTH:] = on, on
    mask[:, :WIDTH], mask[:, -WIDTH:] = on[:, None], on[:, None]
    return mask


def _badge(recognised: bool) -> Tensor:
    """(3, _BADGE, _BADGE): a tick or a cross on white."""
    image = Image.new("RGB", (_BADGE, _BADGE), "white")
    draw = ImageDraw.Draw(image)
    colour = tuple(round(255 * part) for part in (HIT if recognised else MISS))
    for line in (_TICK,) if recognised else _CROSS:
        draw.line(line, fill=colour, width=3)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255


def _column(colour: tuple[float, float, float]) -> Tensor:
    return torch.tensor(colour)[:, None]
