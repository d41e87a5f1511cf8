"""What a judge is: a network that says who an image shows, and that no attack has asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn


class Judge(nn.Module, ABC):
    """A network whose vector of an image tells whom it shows; it resizes and normalises inside.

    The least one takes the pixels of a side of a study's images, and defines `forward`.
    """

    brings_weights: ClassVar[bool] = False
    """Whether its weights come with a package, and not from a file of weights/."""

    def __init__(self, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Vectors (N, D) of images (N, 3, S, S) float32 in [0, 1]."""


class Verifier(Judge):
    """A judge whose vectors are embeddings: near each other where two images show one person."""


class Reader(Judge):
    """A judge whose vectors are the parameters of a person, read off an image."""

    names: ClassVar[tuple[str, ...]]
    """The parameters, in order."""

    mean: Tensor  # (A,) of a parameter over people
    deviation: Tensor  # (A,) of it between people
    reliability: Tensor  # (A,) in [0, 1]: the share of a parameter's variance that is read

    def __init__(self, image_size: int) -> None:
        super().__init__(image_size)
        for name in ("mean", "deviation", "reliability"):
            self.register_buffer(name, torch.ones(len(self.names)))
