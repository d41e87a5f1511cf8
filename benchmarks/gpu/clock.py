"""Times of steps that run inside the library's own loops."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

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


def paced(run: Callable[[int], float], wanted: int, trial: int, budget: float) -> tuple[int, float]:
    """(steps, seconds) of `run(steps)`: `wanted` steps, or as many as fit into `budget` seconds.

    Two trial runs go before: the first loads kernels, the second says how long a step takes.
    """
    run(trial)
    per_step = run(trial) / trial
    steps = max(trial, min(wanted, int(budget / max(per_step, 1e-9))))
    return steps, run(steps)


def repeated(
    action: Callable[[], object], device: torch.device, times: int, now: Now = time.perf_counter
) -> float:
    """Seconds of one `action`, the mean of so many after three that warm up."""
    for _ in range(3):
        action()
    synchronize(device)
    begun = now()
    for _ in range(times):
        action()
    synchronize(device)
    return (now() - begun) / times


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Callable[[], float | None]]:
    """Gives a function: the most MB of the device that tensors had since; None on a CPU."""
    cuda = device.type == "cuda"
    if cuda:
        torch.zeros(1, device=device)  # else there may be no statistics to reset yet
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    yield lambda: torch.cuda.max_memory_allocated(device) / 2**20 if cuda else None
