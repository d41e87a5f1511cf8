"""What is scored of an attack: who was attacked, on which data, and what the attack left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from trapmid.scoring.described import Loaded, Private
from trapmid.scoring.references import SignatureReference
from trapmid.types import Target


class AttackedModel(NamedTuple):
    """Who was attacked, and by asking whom."""

    target: Loaded
    queried_model: Loaded  # what the search asked: the target, or what stood in for it
    students: Target | None  # what was asked beside it; LOMMA's
    signature: SignatureReference | None  # the target's; None: it has no trapdoor


class Data(NamedTuple):
    """The images of the attack's row of `data`."""

    private: Private
    public: Tensor  # (m, 3, S, S) uint8, the negatives of the signature's ROC curve


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What an attack left: `data/reconstructions/<row>.pt`.

    Raises:
        ValueError: pixels leave [-2, 2], as 8-bit ones do. A generator may leave [0, 1] by less.
    """

    images: Tensor  # (N, 3, S, S) float32, as the generator made them: it may leave [0, 1]
    labels: Tensor  # (N,) int64, the attacked classes
    draws: Tensor  # (N,) int64, which try of its class an image is
    found: Tensor  # (N,) bool; False: no image, but what stands in its place
    counts: Mapping[str, Tensor]  # one number (N,) per reconstruction, by name
    left_out: int  # rows that were not attempted, always of whole classes

    def __post_init__(self) -> None:
        if not self.images.numel():
            return
        low, high = self.images.aminmax()  # NaN where one is; no copy of 30 GB of images
        worst = torch.maximum(-low, high)
        if not worst <= 2:  # false of NaN, too
            raise ValueError(f"reconstructions: pixels of size {worst:g}, at most 2 is an image's")

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """The evidence in the content of a file."""
        names = ("images", "labels", "draws", "found", "counts")
        return cls(**{name: content[name] for name in names}, left_out=int(content["left_out"]))
