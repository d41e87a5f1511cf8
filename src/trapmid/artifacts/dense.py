"""Which tensors of others are weights: dense ones of real numbers.

torch saves and loads more kinds, which no network here computes with and few of its functions know.
"""

from __future__ import annotations

import torch
from torch import Tensor

_DTYPES = frozenset({
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool,
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
})  # fmt: skip
ALLOWED = (
    "dense tensors of real numbers: float16, bfloat16, float32, float64, integers (unsigned of 8 "
    "bits), bool"
)


def otherwise(value: Tensor) -> str | None:
    """What a tensor is that is no dense one of real numbers; None: it is."""
    kind = str(value.dtype).removeprefix("torch.")
    if value.is_meta:
        return "a meta tensor, which has a shape and no numbers"
    if value.is_nested:
        return "a nested tensor"
    if value.layout != torch.strided:
        return f"a sparse tensor ({str(value.layout).removeprefix('torch.')})"
    if value.is_quantized:
        return f"a quantised tensor ({kind})"
    return None if value.dtype in _DTYPES else f"in {kind}"
