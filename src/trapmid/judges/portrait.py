"""Reads off a drawn face the identity parameters from which it was drawn.

So it says who an image shows in the terms in which the truth is known (`drawing/vectors`), and what
of it: the hair may be right where the eyes are not. What an image tells of a parameter varies, so
every parameter has a reliability, measured on people from whom nothing was learnt.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trapmid.data.drawing.vectors import ATTRIBUTES
from trapmid.nets.face_trunk import FaceTrunk
from trapmid.types import Reader


class Judge(Reader):
    """Identity vectors of faces, (N, 41) in [0, 1]."""

    names = ATTRIBUTES

    def __init__(self, image_size: int) -> None:
        super().__init__(image_size)
        self.trunk = FaceTrunk(image_size, len(ATTRIBUTES))

    def forward(self, images: Tensor) -> Tensor:
        return torch.sigmoid(self.trunk(images))
