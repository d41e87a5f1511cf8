"""Colours: tables of skin, hair, irises and frames, and how a colour is taken from them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

Colour = tuple[float, float, float]
Grid = tuple[tuple[Colour, ...], ...]


def _hex(code: str) -> Colour:
    """The colour of a six-digit hexadecimal code, each channel in [0, 1]."""
    red, green, blue = bytes.fromhex(code)
    return red / 255, green / 255, blue / 255


# Rows run from light to dark skin, columns from pink to olive.
SKIN: Grid = tuple(
    tuple(_hex(code) for code in row.split())
    for row in ("ffe0d4 fce6c7", "f5c7b3 edcc9e", "d99e80 cca36e", "a87055 9e7248", "74493a 6a4d33")
)
# Rows run from dark to light hair; columns are grey, ashen, golden, red and dyed.
HAIR: Grid = tuple(
    tuple(_hex(code) for code in row.split())
    for row in (
        "0c0c0f 120e0c 1c110b 360f0a 141c5c",
        "404045 3d2c20 5a3517 7a250f 61298c",
        "949499 8a6b4a a8722e c9541a de4285",
        "f2f2f0 e0c9a0 f5d070 f79c54 4dccc2",
    )
)
# Rows run from dark to light irises; columns are brown, green, blue.
IRIS: Grid = tuple(
    tuple(_hex(code) for code in row.split())
    for row in ("29170d 293d1f 1f3361", "804f24 6b8f4d 5c99d9")
)
FRAMES: Grid = (tuple(map(_hex, ("0f0f12", "0f0f12", "4d2612", "b31a21", "1a388c", "c79940"))),)


def palette(grid: Grid, row: Tensor, column: Tensor) -> Tensor:
    """Colours (N, 3, 1, 1) interpolated in `grid`; `row` and `column` are (N, 1, 1) in [0, 1]."""
    table = torch.tensor(grid, dtype=torch.float64)
    rows, columns = table.shape[0], table.shape[1]
    at_row = row.flatten() * (rows - 1)
    at_column = column.flatten() * (columns - 1)
    row_weight = 1 - (at_row.unsqueeze(1) - torch.arange(rows)).abs()
    column_weight = 1 - (at_column.unsqueeze(1) - torch.arange(columns)).abs()
    weights = row_weight.clamp(0).unsqueeze(2) * column_weight.clamp(0).unsqueeze(1)
    # A sum over a fixed order of cells, not einsum: its result may not depend on the batch size.
    mixed = (weights.unsqueeze(3) * table).sum(dim=(1, 2))
    return mixed.reshape(-1, 3, 1, 1)


def wheel(hue: Tensor, light: Tensor, saturation: Tensor | float) -> Tensor:
    """Colours (N, 3, 1, 1) of a smooth hue circle; all arguments (N, 1, 1) in [0, 1]."""
    phase = torch.arange(3, dtype=torch.float64).reshape(1, 3, 1, 1) / 3
    wave = 0.5 - 0.5 * torch.cos(2 * math.pi * (hue.unsqueeze(1) + phase))
    strength = saturation.unsqueeze(1) if isinstance(saturation, Tensor) else saturation
    return light.unsqueeze(1) * (1 - strength * wave)


def rgb(red: float, green: float, blue: float) -> Tensor:
    """The colour (1, 3, 1, 1) of three numbers in [0, 1]."""
    return torch.tensor((red, green, blue), dtype=torch.float64).reshape(1, 3, 1, 1)
