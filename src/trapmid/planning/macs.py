"""Counts multiply-adds while something runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class Macs(TorchDispatchMode):
    """Within it, multiply-adds of convolutions and matrix products add up, passes back included.

    By the formulas of torch's `FlopCounterMode`, whose record of modules refuses the second slope
    that a critic's penalty takes. What is no operation of torch, as dlib's recogniser, is not seen.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch gives it no types
        self.total = 0.0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        out = func(*args, **named)
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **named, out_val=out) / 2  # two operations each
        return out
