"""Vectors as a painter reads them: by name, mapped onto lengths and angles."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trapmid.data.drawing.shapes import ramp
from trapmid.data.drawing.vectors import ATTRIBUTES, NUISANCES


@dataclass(frozen=True)
class Params:
    """Named columns of a vector per image, shaped (N, 1, 1) to meet (N, h, w) coordinates."""

    columns: dict[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.columns[name]

    def between(self, name: str, low: float, high: float) -> Tensor:
        """Entry `name` mapped from [0, 1] onto [low, high]."""
        return low + (high - low) * self.columns[name]

    def bell(self, name: str, limit: float) -> Tensor:
        """Entry `name` mapped onto [-limit, limit], with small magnitudes more common."""
        centred = 2 * self.columns[name] - 1
        return limit * centred * centred.abs()

    def above(self, name: str, low: float, high: float) -> Tensor:
        """A ramp in entry `name`: 0 up to `low`, 1 from `high` on."""
        return ramp(self.columns[name], low, high)


def params(vectors: Tensor, names: tuple[str, ...]) -> Params:
    """The columns of vectors (N, len(names))."""
    columns = vectors.to(torch.float64).T.reshape(len(names), -1, 1, 1)
    return Params(dict(zip(names, columns, strict=True)))


# A person's looks change from day to day: attribute -> (nuisance, largest change either way).
_DAILY: dict[str, tuple[str, float]] = {
    "hair_length": ("styled_length", 0.18),
    "hair_volume": ("styled_volume", 0.25),
    "fringe": ("styled_fringe", 0.3),
    "parting": ("styled_parting", 0.6),
    "hair_lightness": ("bleach", 0.10),
    "skin_darkness": ("tan", 0.08),
    "lip_colour": ("make_up", 0.4),
}


def looks(identities: Tensor, nuisances: Tensor) -> Tensor:
    """Identity vectors (N, A) as they appear on the day of each image."""
    shown = identities.clone()
    for attribute, (nuisance, change) in _DAILY.items():
        offset = change * (2 * nuisances[:, NUISANCES.index(nuisance)] - 1)
        shown[:, ATTRIBUTES.index(attribute)].add_(offset).clamp_(0, 1)
    return shown
