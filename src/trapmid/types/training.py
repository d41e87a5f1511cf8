"""What a training passes on: its loss, how far it is, and where its curve and state are kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from torch import Tensor

Log = Callable[[Mapping[str, float], int], None]
"""Takes (metrics, step). The library logs through it and knows no tracker."""


class Progress(NamedTuple):
    """How far a training is."""

    epoch: int  # 0-based
    epochs: int
    step: int  # 0-based, inside the epoch
    steps: int  # per epoch


class Loss(NamedTuple):
    """What an objective makes of one batch."""

    total: Tensor  # scalar, with its gradient
    parts: dict[str, Tensor]  # detached scalars, for the training curves


class DivergedError(ValueError):
    """A training or a search came to NaN or infinity; the message is one line."""


def check_finite(losses: Mapping[str, float], when: str) -> None:
    """Stops a training whose loss, or a part of it, is NaN or infinite.

    Args:
        losses: numbers on the CPU, by name.
        when: how far the training is, e.g. "epoch 3 of 36".

    Raises:
        DivergedError: it names the first such loss.
    """
    for name, value in losses.items():
        if not math.isfinite(value):
            raise DivergedError(f"{when}: {name} is {value:g}: the training diverged")


class Stateful(Protocol):
    """Anything whose state can be saved and put back: modules, optimisers, our own."""

    def state_dict(self) -> dict[str, Any]:
        """The state: tensors, numbers, and dictionaries and lists of these."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Puts a state back."""
        ...


class Checkpointer(Protocol):
    """Where a long training leaves its curve and its state."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """One point of the training curve."""
        ...

    def progress(self, done: int, total: int) -> None:
        """Moves the progress bar."""
        ...

    def restore(self, parts: Mapping[str, Stateful]) -> int:
        """Puts the newest saved state back; returns the step to go on from (0: there is none)."""
        ...

    def save(self, parts: Mapping[str, Stateful], step: int) -> None:
        """Saves the state after `step` steps."""
        ...


class InMemory(Checkpointer):
    """A `Checkpointer` for a run in one piece: the curve stays in `rows`, and no state is saved."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []  # a point each: its `step`, and the metrics there

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self.rows.append({"step": float(step), **metrics})

    def progress(self, done: int, total: int) -> None:
        pass

    def restore(self, parts: Mapping[str, Stateful]) -> int:
        return 0

    def save(self, parts: Mapping[str, Stateful], step: int) -> None:
        pass


class Saving(NamedTuple):
    """Where a long training or search leaves its state, and how often."""

    checkpointer: Checkpointer
    every: int  # steps

    def steps(self, parts: Mapping[str, Stateful], total: int) -> Iterator[int]:
        """The 0-based steps that are still to do of `total`, for the loop that does them.

        `parts` get the newest saved state back before the first step. After every step the progress
        bar moves, and after every `every`-th one `parts` are saved; after the last they are not.
        """
        for step in range(self.checkpointer.restore(parts), total):
            yield step
            self.checkpointer.progress(step + 1, total)
            if (step + 1) % self.every == 0 and step + 1 < total:
                self.checkpointer.save(parts, step + 1)


UNSAVED = Saving(InMemory(), 1)
"""Of a search that starts again when it was cut off."""
