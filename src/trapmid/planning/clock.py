"""Times of steps that run inside the library's own loops."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch

from trapmid.types import InMemory, Stateful

Now = Callable[[], float]
"""Seconds: of the clock on the wall, or of the processor."""


def synchronize(device: torch.device) -> None:
    """Waits until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Clock(InMemory):
    """A `Checkpointer` that times the steps of a training or a search after the first `warm` ones.

    It waits for the device only at the two ends, so the steps between run as they always do.
    """

    def __init__(self, device: torch.device, warm: int, now: Now = time.perf_counter) -> None:
        super().__init__()
        self._device, self._warm, self._now = device, warm, now
        self._begun = self._ended = 0.0
        self.prepared = 0.0  # seconds from here to the loop
        self._made = now()

    def restore(self, parts: Mapping[str, Stateful]) -> int:
        synchronize(self._device)
        self._begun = self._now()
        self.prepared = self._begun - self._made
        return 0

    def progress(self, done: int, total: int) -> None:
        if done in (self._warm, total):
            synchronize(self._device)
            now = self._now()
            self._begun, self._ended = (now, now) if done == self._warm else (self._begun, now)

    @property
    def seconds(self) -> float:
        """What the steps took after the warm ones."""
        return self._ended - self._begun

    def elapsed(self) -> float:
        """Seconds since it was made."""
        synchronize(self._device)
        return self._now() - self._made
