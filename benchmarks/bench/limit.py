"""The least that a path can take: its operations and bytes at the rates of this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from gpu.clock import Now
from gpu.machine import copy_rate, matrix_rate
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from trapmid.runtime import bf16_is_native

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp64": torch.float64}


class Rates(NamedTuple):
    """What the machine does a second when it does nothing else."""

    flops: dict[str, float]  # by precision, of a product of large matrices
    bytes: float  # read and written

    def least(self, flops: float, moved: float, precision: str) -> float:
        """Seconds: the longer of computing and moving, as both can go on at once."""
        return max(flops / self.flops[precision], moved / self.bytes)


def rates(now: Now, *, quick: bool) -> Rates:
    """Measured here, on the threads that torch has: matrices of 2,048, 256 MB.

    bf16 only where no path of it is left out: six products of it took over four minutes on a
    processor that emulates it, and there was no time left for any path.
    """
    size, count, times = (128, 2**18, 2) if quick else (2048, 2**28, 5)
    cpu = torch.device("cpu")
    kinds = {name: TYPES[name] for name in TYPES if name != "bf16" or bf16_is_native(cpu)}
    flops = {name: matrix_rate(size, kind, cpu, times, now) for name, kind in kinds.items()}
    return Rates(flops, copy_rate(count, cpu, times, now))


def counted(action: Callable[[], object]) -> float:
    """FLOPs of the matrix products and convolutions of a call, backward passes included."""
    with _Counter() as counter:
        action()
    return counter.total


class _Counter(TorchDispatchMode):
    """By torch's own formulas; its `FlopCounterMode` fails where a gradient is differentiated."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0.0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        given = kwargs or {}
        found = func(*args, **given)
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.total += float(formula(*args, **given, out_val=found))
        return found
