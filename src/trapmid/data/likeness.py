"""Near twins: one photograph that was saved, scaled or trimmed again.

The fingerprint is the usual perceptual hash (DCT of a small grey picture, signs about the median),
with 255 bits instead of 63: with 63, faces of different people are as near as a picture and itself
trimmed by two pixels. data/README.md has the distances that were measured.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

NEAR = 28  # bits that may differ: saved again up to 12, trimmed by a pixel 26; other faces from 48
_SIDE, _KEPT = 32, 16  # pixels of the small picture, frequencies kept of each direction
_BITS = _KEPT**2 - 1  # the mean grey is left out
_BLOCK = 1024
_PICTURES = 64  # whose fingerprints are taken at once: their pixels stay in the processor's cache
_TILE = 4096  # others at once: their products with a block stay in the processor's cache
_HALF = 128  # bits that are compared first


class Nearest(NamedTuple):
    """For each image the most similar one of others."""

    distance: Tensor  # (N,) int64, bits that differ, 0 .. 255
    place: Tensor  # (N,) int64, that image's index


def nearest(prints: Tensor, others: Tensor) -> Nearest:
    """The nearest of `others`, by Hamming distance; the first of several.

    Args:
        prints: (N, 255), see `fingerprints`.
        others: (M, 255), M > 0.
    """
    found = [(block @ others.T).max(dim=1) for block in prints.split(_BLOCK)]  # exact in float32
    distances = [(_BITS - agreement) / 2 for agreement, _ in found]
    return Nearest(torch.cat(distances).long(), torch.cat([place for _, place in found]))


def near(prints: Tensor, others: Tensor) -> Tensor:
    """(N,) int64: for each image the place of the nearest of `others` within `NEAR`; -1: none is.

    Of several as near the first. Half of the bits rule out nearly every pair, and that is cheaper
    than `nearest` by more than half.

    Args:
        prints: (N, 255), see `fingerprints`.
        others: (M, 255).
    """
    found = torch.full((len(prints),), -1)
    closest = torch.full((len(prints),), NEAR + 1)
    half, other_half = (
        one[:, :_HALF].contiguous() for one in (prints, others)
    )  # an eighth less time
    for first in range(0, len(prints), _BLOCK):
        block = prints[first : first + _BLOCK]
        for start in range(0, len(others), _TILE):
            tile = others[start : start + _TILE]
            products = half[first : first + _BLOCK] @ other_half[start : start + _TILE].T
            agreement = products.amax(dim=1)
            rows = (agreement >= _HALF - 2 * NEAR).nonzero()[:, 0]
            if not len(rows):
                continue
            distance, place = nearest(block[rows], tile)
            closer = distance < closest[first + rows]
            closest[first + rows[closer]] = distance[closer]
            found[first + rows[closer]] = start + place[closer]
    return found


def fingerprints(images: Tensor) -> Tensor:
    """Fingerprints (N, 255) of images (N, C, H, W) uint8: float32, each -1 or 1."""
    if not len(images):
        return torch.empty(0, _BITS)
    return torch.cat([_fingerprints(block) for block in images.split(_PICTURES)])


def _fingerprints(images: Tensor) -> Tensor:
    # The mean of the colours in float64; whole numbers are added first, as they are.
    grey = images.sum(dim=1, keepdim=True, dtype=torch.int16).double() / images.shape[1]
    small = F.interpolate(grey, (_SIDE, _SIDE), mode="bilinear", antialias=True)[:, 0]
    frequencies = torch.arange(_KEPT, dtype=torch.float64)[:, None]
    places = torch.arange(_SIDE, dtype=torch.float64) + 0.5
    cosines = torch.cos(math.pi / _SIDE * frequencies * places)  # (16, 32)
    values = (cosines @ small @ cosines.T).flatten(1)[:, 1:]
    middle = values.median(dim=1, keepdim=True).values
    return torch.where(values > middle, 1.0, -1.0)
