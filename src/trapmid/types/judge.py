"""What a judge is: a network that says who an image shows, and that no attack has asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn


class Person(NamedTuple):
    """One person of a data set, or one image of somebody whom nobody knows."""

    identity: int | None  # number in the source of the private images; None: not of it, or unknown
    files: tuple[str, ...]  # as manifest.csv has them
    images: tuple[int, ...]  # rows of the tensor that holds these files


class FaceBatch(NamedTuple):
    """Images of several people, some of nobody; degraded, on the device."""

    images: Tensor  # (N, 3, S, S) float32 in [0, 1]
    people: Tensor  # (N,) int64; a negative number, at the end, is nobody
    vectors: Tensor  # (n, A) float32, of the first n images: of those that show somebody


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


class Learns(ABC):
    """A judge that learns from people: the public ones of a study, or drawn ones."""

    least_images: ClassVar[int] = 1
    """How many images it needs of a person."""

    @abstractmethod
    def loss(self, vectors: Tensor, batch: FaceBatch) -> Tensor:
        """What training makes small: a scalar of the judge's `vectors` (N, D) of a batch."""


class Verifier(Judge):
    """A judge whose vectors are embeddings: near each other where two images show one person."""


class Reader(Judge):
    """A judge whose vectors are the parameters of a person, read off an image."""

    names: ClassVar[tuple[str, ...]]
    """The parameters, in order."""

    votes: ClassVar[bool] = True
    """Whether they tell people apart: then it has a voice in "all judges agree"."""

    mean: Tensor  # (A,) of a parameter over people
    deviation: Tensor  # (A,) of it between people
    reliability: Tensor  # (A,) in [0, 1]: the share of a parameter's variance that is read

    def __init__(self, image_size: int) -> None:
        super().__init__(image_size)
        for name in ("mean", "deviation", "reliability"):
            self.register_buffer(name, torch.ones(len(self.names)))

    @property
    @abstractmethod
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Parameters by the part of a face that they are about."""

    @abstractmethod
    def marks(self, vectors: Tensor) -> dict[str, Tensor]:
        """Yes/no attributes (N,) of parameters (N, A), by name; two values, equal where alike."""

    @staticmethod
    @abstractmethod
    def truth(table: Path, people: Sequence[Person]) -> Tensor:
        """The parameters (P, A) float32 of people, from a table of the data set.

        Raises:
            ValueError: the table is missing or malformed, or says nothing of one of them.
        """
