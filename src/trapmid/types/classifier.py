"""What a classifier is, and what of it an attacker with labels alone gets to see.

Images are float32 NCHW in [0, 1] at every boundary; a network normalises inside.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trapmid.runtime import eval_mode


class Output(NamedTuple):
    """What a classifier returns."""

    logits: Tensor  # (N, C), never probabilities
    features: Tensor  # (N, F), what the head sees: penultimate, before any sampled noise
    hidden: tuple[Tensor, ...] = ()  # shallow to deep; BiDO reads these


class Embedding(NamedTuple):
    """What the trunk of a classifier makes of images, before its head."""

    vector: Tensor  # (N, D)
    hidden: tuple[Tensor, ...]  # one flat tensor per stage, shallow to deep


class Target(nn.Module, ABC):
    """A classifier of images in [0, 1]; every normalisation and resizing happens inside.

    The least one sets `num_classes` and defines `forward`. `head` and `stages` are words of this
    interface: a submodule that is called so cannot be reached.
    """

    num_classes: int  # C
    embedding_dim: int  # D of `embed`
    head: tuple[str, ...] = ()  # the submodules behind `embed`, which a bottleneck replaces
    stochastic: bool = False  # whether two forwards of one image in eval mode differ
    torchvision_weights: tuple[str, ...] = ()  # names of ImageNet weights that `start_from` takes

    @abstractmethod
    def forward(self, images: Tensor) -> Output:
        """Logits and features of images (N, 3, S, S) float32 in [0, 1]."""

    def member_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """The logits (N, C) of every member of an ensemble; of any other network, its own."""
        return (self(images).logits,)

    def embed(self, images: Tensor) -> Embedding:
        """The trunk alone: what the head would see of images (N, 3, S, S).

        Raises:
            ValueError: the architecture has no such boundary.
        """
        raise ValueError(f"arch: {type(self).__module__} has no trunk apart from its head")

    def stages(self) -> tuple[nn.Module, ...]:
        """The parts of the trunk, shallow to deep, one per `hidden` tensor.

        A part with skip connections holds modules with a method `weaken(scale)`.

        Raises:
            ValueError: the architecture has no such parts.
        """
        raise ValueError(f"arch: {type(self).__module__} has no stages")

    def through_stages(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What the last stage makes of images, and what every stage does, flat: (N, D) each."""
        x, hidden = images, []
        for stage in self.stages():
            x = stage(x)
            hidden.append(x.flatten(1))
        return x, tuple(hidden)

    def start_from(self, state: Mapping[str, Tensor]) -> None:
        """Takes the trunk of another network of this class, or of published weights.

        Raises:
            RuntimeError: a weight is missing or has another shape.
        """
        self.take_trunk(state)

    def take_trunk(self, state: Mapping[str, Tensor]) -> None:
        """Takes every weight of `state` but the head's, strictly.

        Raises:
            RuntimeError: a weight of the trunk is missing, unknown, or of another shape.
        """
        head = tuple(f"{name}." for name in self.head)
        own = {name: value for name, value in self.state_dict().items() if name.startswith(head)}
        trunk = {name: value for name, value in state.items() if not name.startswith(head)}
        self.load_state_dict(trunk | own, strict=True)


class LabelsOnly:
    """A target that tells the most probable class of an image and nothing else, and counts.

    Args:
        target: on its device; asked in eval mode, without gradients.
    """

    def __init__(self, target: Target) -> None:
        self.num_classes = target.num_classes
        self.queries = 0
        """How many images it has told the class of."""
        self.__target = target

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """The classes (N,) int64 of images (N, 3, S, S)."""
        with eval_mode(self.__target):
            labels: Tensor = self.__target(images).logits.argmax(dim=1)
        self.queries += len(images)  # not before: what memory had no room for is asked again
        return labels
