"""The latent search that white-box attacks share.

Every row is a search of its own: its start depends on (seed, label, draw), its loss is its own, and
a batch mean of the official code is written as a sum over a reference batch size. So any number of
identities and seeds may be searched at once, and no result depends on how many.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trapmid.runtime import counter_normal, stream_seed
from trapmid.types import UNSAVED, DivergedError, Prior, Reconstruction, Saving, Stateful, Task

RowLoss = Callable[[Tensor, int], Tensor]
"""(latents (N, Z), iteration) -> losses (N,)."""


class Optimum(NamedTuple):
    """What a search ends with."""

    latents: Tensor  # (N, Z)
    losses: Tensor  # (N,) the objective there

    @torch.no_grad()
    def reconstruction(self, prior: Prior, task: Task) -> Reconstruction:
        """The latents' images, as the answer to `task`."""
        images = prior(self.latents, task.labels)
        return Reconstruction(images, task.labels, task.draws, self.latents, self.losses)


def stream_keys(seed: int, scope: str, *columns: Tensor) -> Tensor:
    """(N,) int64 keys for `runtime.counter_uniform`, one stream per row of `columns` (N,) int64."""
    rows = zip(*(column.tolist() for column in columns), strict=True)
    keys = [stream_seed(seed, scope, *row) for row in rows]
    return torch.tensor(keys, dtype=torch.int64, device=columns[0].device)


def row_keys(labels: Tensor, draws: Tensor, seed: int, scope: str) -> Tensor:
    """(N,) int64 keys for `runtime.counter_uniform`, one stream per (label, draw)."""
    return stream_keys(seed, scope, labels, draws)


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
    saving: Saving = UNSAVED,
) -> Optimum:
    """GMI's search: Nesterov momentum with the latents clipped after every step.

    v_t = m v_{t-1} - lr g;  z <- clip(z - m v_{t-1} + (1 + m) v_t, -bound, bound), with g the
    gradient of sum(loss) / reference_batch. The start is not clipped.

    Args:
        saving: where an unfinished search is kept; one of the same parameters goes on from it.

    Returns:
        The last iterate and the objective there.

    Raises:
        DivergedError: latents are not finite.
    """
    state = Variables(latents=latents, velocity=torch.zeros_like(latents))
    for step in saving.steps({"search": state}, steps):
        z, before = state["latents"], state["velocity"]
        slope = _slope(z, loss, step) / reference_batch
        velocity = momentum * before - lr * slope
        moved = z - momentum * before + (1 + momentum) * velocity
        state.update(latents=moved.clamp(-bound, bound), velocity=velocity)
        check_finite(state["latents"], step, steps)
    return _optimum(state["latents"], loss, steps)


def adam(
    latents: Tensor,
    loss: RowLoss,
    *,
    steps: int,
    lr: float,
    reference_batch: int,
    betas: tuple[float, float] = (0.9, 0.999),
    saving: Saving = UNSAVED,
) -> Optimum:
    """Adam on sum(loss) / reference_batch, by default with its usual betas; else as `nesterov`.

    Adam divides by the gradient's own scale, so the reference batch acts through epsilon alone.
    """
    latents = latents.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([latents], lr=lr, betas=betas)
    parts: dict[str, Stateful] = {
        "search": Variables(latents=latents.detach()),  # shares the optimiser's memory
        "optimizer": optimizer,
    }
    for step in saving.steps(parts, steps):
        latents.grad = _slope(latents, loss, step) / reference_batch
        optimizer.step()
        check_finite(latents, step, steps)
    return _optimum(latents.detach(), loss, steps)


class Variables:
    """Tensors of a search by name, as a state that can be saved."""

    def __init__(self, **tensors: Tensor) -> None:
        self._tensors = dict(tensors)

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def update(self, **tensors: Tensor) -> None:
        """Replaces tensors that are there already."""
        assert tensors.keys() <= self._tensors.keys()
        self._tensors.update(tensors)

    def state_dict(self) -> dict[str, Any]:
        return self._tensors

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Writes into the tensors themselves, wherever else they are used."""
        for name, tensor in self._tensors.items():
            tensor.copy_(state_dict[name])


def _slope(latents: Tensor, loss: RowLoss, step: int) -> Tensor:
    leaf = latents.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(loss(leaf, step).sum(), leaf)
    return slope


def check_finite(latents: Tensor, step: int, steps: int) -> None:
    """Stops a search at NaN, at ten of its steps: to look is to wait for the device.

    Args:
        latents: (N, Z).

    Raises:
        DivergedError: some are not finite.
    """
    if (step + 1) % max(1, steps // 10) == 0:
        broken = int((~latents.isfinite().all(dim=1)).sum())
        if broken:
            raise DivergedError(
                f"step {step + 1} of {steps}: {broken} of {len(latents)} latents, and so their "
                "losses, are not finite: the search diverged"
            )


@torch.no_grad()
def _optimum(latents: Tensor, loss: RowLoss, step: int) -> Optimum:
    return Optimum(latents, loss(latents, step).detach())
