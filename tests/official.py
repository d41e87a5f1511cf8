"""The official networks, filled by formula: what they answered, and how to ask ours the same.

`reference/networks.json` holds the first values, mean and deviation of every output of the official
code (its `origin`) under this fill, computed once. The rule: tensor `name` with flat index i gets
s_i = sin(0.7391 i + 2 pi (crc32(name) mod 1000) / 1000), scaled by what the tensor is.

`reference/states.txt` has the names and shapes of the official states, a tensor a line; `bn.@ 64`
stands for the five tensors of a batch normalisation of 64 channels.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

REFERENCE = Path(__file__).parent / "reference" / "networks.json"


def outputs(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(REFERENCE.read_text())[name]["outputs"]
    return found


def value(name: str, like: Tensor) -> Tensor:
    """What the official tensor `name` is filled with."""
    leaf = name.rsplit(".", 1)[-1]
    if not like.is_floating_point():
        return torch.zeros_like(like)
    phase = 2 * math.pi * (zlib.crc32(name.encode()) % 1000) / 1000
    s = torch.sin(0.7391 * torch.arange(like.numel(), dtype=torch.float64) + phase)
    s = s.view(like.shape)
    if leaf == "running_var":
        filled = 1 + 0.2 * s.abs()
    elif leaf in ("weight_u", "weight_v"):
        filled = s / s.norm()
    elif like.dim() >= 2:
        filled = s * math.sqrt(2 / (like.numel() / len(like)))
    elif leaf in ("weight", "gamma"):
        filled = 1 + 0.1 * s
    else:
        filled = 0.05 * s
    return filled.to(like.dtype)


def fill(module: nn.Module, official_name: Callable[[str], str]) -> None:
    """Fills every tensor of `module` as the official one that `official_name` gives."""
    state = module.state_dict()
    module.load_state_dict({name: value(official_name(name), like) for name, like in state.items()})


_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def state(network: str) -> dict[str, Tensor]:
    """The official state of a network under the fill, as its file would hold it."""
    filled, here = {}, False
    for line in (REFERENCE.parent / "states.txt").read_text().splitlines():
        name, *shape = line.split()
        if name == "#":
            here = shape == [network]
        elif here:
            for key in (name[:-1] + leaf for leaf in _NORM) if name.endswith("@") else (name,):
                counter = key.endswith("num_batches_tracked")
                like = torch.tensor(0) if counter else torch.empty([int(n) for n in shape])
                filled[key] = value(key, like)
    return filled


def images(size: int = 64) -> Tensor:
    flat = torch.arange(2 * 3 * size * size, dtype=torch.float64)
    return (0.5 + 0.5 * torch.sin(0.0173 * flat)).float().view(2, 3, size, size)


def latents(dim: int) -> Tensor:
    return torch.sin(0.911 * torch.arange(2 * dim, dtype=torch.float64)).float().view(2, dim)


LABELS = torch.tensor([3, 7])


def compare(ours: Tensor, wanted: dict[str, Any]) -> None:
    """Shape, first values, mean and deviation, to a ten thousandth of the deviation.

    Processors sum float32 in different orders: of 2 x 512 features of 50 layers that differed by up
    to 2.3e-5 of their deviation (measured with AVX2 and AVX-512, against float64 as well). Relative
    bounds are none: a feature near zero has no digits to compare. Two layers changed for each other
    move the features by about their deviation, which a test shows.
    """
    if list(ours.shape) == wanted["shape"][:1]:
        ours = ours.view(wanted["shape"])  # one score per row
    assert list(ours.shape) == wanted["shape"]
    per_row = len(wanted["first"]) // len(ours) if ours.dim() > 1 else 1
    first = ours.reshape(len(ours), -1)[:, :per_row].flatten().tolist()
    within = max(2e-6, 1e-4 * wanted["std"])  # published with six decimals
    assert first == pytest.approx(wanted["first"], rel=1e-4, abs=within)
    assert ours.mean().item() == pytest.approx(wanted["mean"], rel=1e-4, abs=within)
    assert ours.double().std().item() == pytest.approx(wanted["std"], rel=1e-3)
