"""What a defence is: how it alters a network, and what the network is trained with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from trapmid.runtime import Runtime
from trapmid.types.classifier import Target
from trapmid.types.training import Loss, Progress


class Trapdoor(nn.Module, ABC):
    """Triggers, one per class, and how an image gets one; `trapdoors` makes them.

    What only passes a trapdoor on knows no more of it, so that its code reaches trapdoored rows.
    """

    triggers: Tensor  # k, (C, 3, S, S) in [0, 1]
    alpha: Tensor  # blend ratio in [0, 1]
    masks: Tensor | None  # m, (C, 1, S, S) in [0, 1]; None: 1 everywhere

    @abstractmethod
    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Poisoned images (N, 3, S, S) that carry the triggers of `labels` (N,)."""

    @abstractmethod
    def blend(self, images: Tensor, keys: Tensor, labels: Tensor) -> Tensor:
        """As `forward`, with the triggers `keys` (N, 3, S, S) instead of the stored ones."""

    @abstractmethod
    def examples(self, images: Tensor, strength: float = 10.0) -> Tensor:
        """Images (N, 3, S, S) with the triggers of classes 0..N-1, `strength` times stronger."""


class Objective(nn.Module, ABC):
    """A training loss with a memory: triggers, critics and their optimisers live here.

    `optimizers` lists the optimisers that the objective steps itself, so that the loop can apply
    the learning-rate schedule to them and save their state.
    """

    trapdoor: Trapdoor | None  # what the training plants; None: nothing

    def __init__(self) -> None:
        super().__init__()
        self.trapdoor = None

    @property
    def optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
        """Those that the objective steps itself."""
        return ()

    def prepare(self, model: Target, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """Called once before training; the optimiser that the loop shall step."""
        del model
        return optimizer

    def batches(self, labels: Tensor, batch_size: int) -> list[Tensor]:
        """One epoch: indices (B,) int64 into the training set, drawn from torch's global stream.

        Every image at most once, in random order; the last, partial batch is dropped.
        """
        size = min(batch_size, len(labels))
        order = torch.randperm(len(labels))
        return list(order[: len(labels) // size * size].split(size))

    def facts(self) -> dict[str, float]:
        """What the training so far guarantees, e.g. a privacy budget; kept with the weights."""
        return {}

    @abstractmethod
    def forward(self, model: Target, images: Tensor, labels: Tensor, progress: Progress) -> Loss:
        """The loss of one batch: images (N, 3, S, S) float32 in [0, 1], labels (N,) int64.

        Its parts have `train_accuracy`, the share of the batch that is answered right, in [0, 1].
        """


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a defence may know about the training it joins."""

    image_shape: tuple[int, int, int]  # (3, S, S)
    num_classes: int
    new_network: Callable[[int], Target]  # the target's architecture and start, so many outputs
    new_optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]  # as the target's
    rt: Runtime


class Defense(Protocol):
    """A frozen dataclass whose fields are its block of params.yaml."""

    alters_network: ClassVar[bool] = False
    """Whether a saved network must be adapted again before its weights fit."""

    def check_training(self, batch_size: int, precision: str) -> None:
        """Refuses a training that the defence cannot be part of; most can be part of any.

        Args:
            precision: as it stands in params.yaml, or what it came to on this machine.

        Raises:
            ValueError: which key of `classifier_training` is wrong, and what is allowed.
        """
        del batch_size, precision

    def adapt(self, model: Target) -> Target:
        """The network to train instead of `model`; itself where the defence leaves it alone."""
        return model

    def objective(self, setting: Setting) -> Objective:
        """What the network is trained with, made anew for every training."""
        ...
