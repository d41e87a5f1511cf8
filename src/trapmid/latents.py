"""The latent search that white-box attacks share.

Every row is a search of its own: its start depends on (seed, label, draw), its loss is its own, and
a batch mean of the official code is written as a sum over a reference batch size. So any number of
identities and seeds may be searched at once, and no result depends on how many.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trapmid.runtime import counter_normal, stream_seed

RowLoss = Callable[[Tensor, int], Tensor]
"""(latents (N, Z), iteration) -> losses (N,)."""


def row_keys(labels: Tensor, draws: Tensor, seed: int, *scope: object) -> Tensor:
    """(N,) int64 keys for `runtime.counter_uniform`, one stream per (label, draw)."""
    pairs = zip(labels.tolist(), draws.tolist(), strict=True)
    keys = [stream_seed(seed, *scope, label, draw) for label, draw in pairs]
    return torch.tensor(keys, dtype=torch.int64, device=labels.device)


def start(labels: Tensor, draws: Tensor, latent_dim: int, seed: int) -> Tensor:
    """Standard normal latents (N, Z), drawn for every (label, draw) alone.

    The same for every target, so that rows of the table are paired.
    """
    return counter_normal(row_keys(labels, draws, seed, "latents"), latent_dim)


def nesterov(
    latents: Tensor,
    loss: RowLoss,
    *,
    steps: int,
    lr: float,
    momentum: float,
    reference_batch: int,
    bound: float,
) -> tuple[Tensor, Tensor]:
    """GMI's search: Nesterov momentum with the latents clipped after every step.

    v_t = m v_{t-1} - lr g;  z <- clip(z - m v_{t-1} + (1 + m) v_t, -bound, bound), with g the
    gradient of sum(loss) / reference_batch. The start is not clipped.

    Returns:
        (latents (N, Z), losses (N,)): the last iterate and the objective there.
    """
    velocity = torch.zeros_like(latents)
    for step in range(steps):
        slope = _slope(latents, loss, step) / reference_batch
        before, velocity = velocity, momentum * velocity - lr * slope
        moved = latents - momentum * before + (1 + momentum) * velocity
        latents = moved.clamp(-bound, bound)
    return latents, _final(latents, loss, steps)


def adam(
    latents: Tensor, loss: RowLoss, *, steps: int, lr: float, reference_batch: int
) -> tuple[Tensor, Tensor]:
    """Adam with default betas on sum(loss) / reference_batch; returns as `nesterov`.

    Adam divides by the gradient's own scale, so the reference batch acts through epsilon alone.
    """
    latents = latents.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([latents], lr=lr)
    for step in range(steps):
        latents.grad = _slope(latents, loss, step) / reference_batch
        optimizer.step()
    latents = latents.detach()
    return latents, _final(latents, loss, steps)


def _slope(latents: Tensor, loss: RowLoss, step: int) -> Tensor:
    leaf = latents.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(loss(leaf, step).sum(), leaf)
    return slope


@torch.no_grad()
def _final(latents: Tensor, loss: RowLoss, step: int) -> Tensor:
    return loss(latents, step).detach()
