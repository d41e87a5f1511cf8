"""Rows of an attack that come in parts, and what joins them without a second copy of all images.

50,000 images of 224 pixels are 30 GB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile

import torch
from torch import Tensor

_BLOCK = 2**30
"""Bytes of images in one piece: smaller pieces stay with the process when they are freed, see
`trapmid/__init__.py`."""


def joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Every field of one part after the other."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def join_small(parts: list[dict[str, Tensor]]) -> None:
    """Joins the last small parts as soon as they are a large one together."""
    small = list(takewhile(lambda part: part["images"].nbytes < _BLOCK, reversed(parts)))
    if sum(part["images"].nbytes for part in small) >= _BLOCK:
        parts[-len(small) :] = [joined(parts[-len(small) :])]


def moved_together(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """As `joined`, but a tensor leaves its part as soon as it is copied."""
    total, rows = sum(len(part["labels"]) for part in parts), {}
    for name in list(parts[0]):
        rows[name] = parts[0][name].new_empty(total, *parts[0][name].shape[1:])
        places = rows[name].split([len(part[name]) for part in parts])
        for part, place in zip(parts, places, strict=True):
            place.copy_(part.pop(name))
    return rows
