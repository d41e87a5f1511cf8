"""Reads off a drawn face the identity parameters from which it was drawn.

So it says who an image shows in the terms in which the truth is known (`drawing/vectors`), and what
of it: the hair may be right where the eyes are not. What an image tells of a parameter varies, so
every parameter has a reliability, measured on people from whom nothing was learnt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from trapmid.data import truth
from trapmid.data.drawing.attributes import GROUPS, binary_attributes
from trapmid.data.drawing.vectors import ATTRIBUTES
from trapmid.nets.face_trunk import FaceTrunk
from trapmid.types import FaceBatch, Learns, Person, Reader


class Judge(Reader, Learns):
    """Identity vectors of faces, (N, 41) in [0, 1]."""

    names = ATTRIBUTES

    def __init__(self, image_size: int) -> None:
        super().__init__(image_size)
        self.trunk = FaceTrunk(image_size, len(ATTRIBUTES))

    def forward(self, images: Tensor) -> Tensor:
        return torch.sigmoid(self.trunk(images))

    def loss(self, vectors: Tensor, batch: FaceBatch) -> Tensor:
        """Squared error in units of each parameter's variance over uniform draws, 1 / 12."""
        return 12 * (vectors[: len(batch.vectors)] - batch.vectors).square().mean()

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        return GROUPS

    def marks(self, vectors: Tensor) -> dict[str, Tensor]:
        return binary_attributes(vectors)

    @staticmethod
    def truth(table: Path, people: Sequence[Person]) -> Tensor:
        return truth.read(table, torch.tensor([_number(table, one) for one in people]))


def _number(table: Path, person: Person) -> int:
    if person.identity is None:
        raise ValueError(f"{table}: has no {person.files[0]}, of whom no number is known")
    return person.identity
