"""People for a toy run: a colour and a stripe each, with noise. No face, and nobody's."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from gpu.faces import Faces, pack

PRIVATE, STRANGERS, SIZE = 4, 6, 32


def write(file: Path) -> None:
    """Packs 12 images of each private person, 4 for testing, and 8 of each stranger."""
    train, test = _images(range(PRIVATE), 8, 0), _images(range(PRIVATE), 4, 1)
    public = _images(range(PRIVATE, PRIVATE + STRANGERS), 8, 2)
    people = _labels(STRANGERS, 8)
    pack(Faces(train, _labels(PRIVATE, 8), test, _labels(PRIVATE, 4), public, people), file)


def _labels(people: int, each: int) -> Tensor:
    return torch.arange(people).repeat_interleave(each)


def _images(people: range, each: int, seed: int) -> Tensor:
    """(len(people) * each, 3, S, S) uint8."""
    draw = torch.Generator().manual_seed(seed)
    made = []
    for person in people:
        own = torch.Generator().manual_seed(100 + person)
        colour, column = (
            torch.rand(3, 1, 1, generator=own),
            int(torch.randint(SIZE - 8, (), generator=own)),
        )
        clean = colour.expand(3, SIZE, SIZE).clone()
        clean[:, :, column : column + 8] = 1 - colour
        noise = 0.05 * torch.randn(each, 3, SIZE, SIZE, generator=draw)
        made.append((clean + noise).clamp(0, 1) * 255)
    return torch.cat(made).round().to(torch.uint8)
