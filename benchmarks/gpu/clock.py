"""How long actions take, on the clock that the library's own loops are timed with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from trapmid.planning.clock import Clock, Now, synchronize

__all__ = ["Clock", "Now", "paced", "peak_memory", "repeated", "synchronize"]


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
