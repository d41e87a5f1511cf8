"""What a unit needs of the memory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import torch
from torch import Tensor, nn

from trapmid import wiring
from trapmid.planning.models import judge_of, made, placed, random_images
from trapmid.planning.units import Unit
from trapmid.runtime import Runtime

_SHARE = 0.25  # of the memory: no search takes more rows at once, see `search.inversion`


def megabytes(unit: Unit, rt: Runtime) -> float:
    """MB of weights, with their gradients and momenta, and of what autograd keeps of a batch."""
    if unit.kind in ("ask", "query", "judge"):
        return 0.0
    parts = []  # (weights, what is kept of an image)
    if unit.kind in ("prior", "search"):
        parts.append(_of_prior(unit, rt))
    if unit.kind == "learn":
        parts.append(_of_judge(unit, rt))
    if unit.arch:
        parts.append(_of_target(unit, rt))
    weights = sum(one for one, _ in parts) * (1 if unit.kind == "search" else 4)
    batch = unit.batch * sum(kept for _, kept in parts)
    if unit.kind == "search":
        batch = min(batch, _SHARE * _installed(rt.device))
    return (weights + batch) / 2**20


def _installed(device: torch.device) -> int:
    """Bytes that a search counts on, as `search.inversion` has it, but of a GPU that is empty."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _of_target(unit: Unit, rt: Runtime) -> tuple[float, float]:
    """Bytes of the network's weights, and what autograd keeps for one image of a step."""
    target, two = placed(unit, rt), random_images(2, unit.image_size).to(rt.device).float() / 255
    block, times = json.loads(unit.block), 1.0
    if unit.kind == "search":
        times = wiring.attack(unit.method, block).rows_in_memory()
        two.requires_grad_(True)
    else:
        target.requires_grad_(True).train()
        # Benign and poisoned images are one batch, and so are those that AT-AT moved
        times = 2.0 if {"alpha", "radius"} & block.keys() else 1.0
    return _bytes(target), times * _kept(lambda: target(two)) / 2


def _of_prior(unit: Unit, rt: Runtime) -> tuple[float, float]:
    """Likewise of a prior: its images, and its critic on them."""
    searched = unit.kind == "search"
    method, block = (unit.prior, unit.prior_block) if searched else (unit.method, unit.block)
    prior = made(method, block, unit, rt).requires_grad_(not searched)
    z = torch.zeros(2, prior.latent_dim, device=rt.device, requires_grad=True)
    labels = torch.zeros(2, dtype=torch.int64, device=rt.device)
    return _bytes(prior), _kept(lambda: prior.realism(prior(z, labels), labels)) / 2


def _of_judge(unit: Unit, rt: Runtime) -> tuple[float, float]:
    """Likewise of a judge that learns."""
    judge, two = judge_of(unit, rt), random_images(2, unit.image_size).to(rt.device).float() / 255
    return _bytes(judge), _kept(lambda: judge(two)) / 2


def _bytes(network: nn.Module) -> float:
    return float(sum(p.numel() * p.element_size() for p in network.parameters()))


def _kept(forward: Callable[[], object]) -> float:
    """Bytes that autograd keeps of a forward pass."""
    kept = 0

    def weigh(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(weigh, lambda tensor: tensor):
        forward()
    return float(kept)
