"""KED-MI's search: a distribution of latents for every identity (Chen et al., ICCV 2021, sec. 3.3).

One optimisation per identity finds N(mu, diag exp(log_variance)); its images are draws from it. So
what tells the images of one identity apart is the luck of the draw alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trapmid.runtime import counter_normal
from trapmid.search import latents
from trapmid.search.averaging import Streams
from trapmid.search.latents import Optimum
from trapmid.types import Task

Objective = Callable[[Tensor, Tensor, Streams], Tensor]
"""(latents (n, Z), labels (n,), what else may be drawn of the rows) -> losses (n,)."""


def search(
    task: Task,
    objective: Objective,
    latent_dim: int,
    seed: int,
    *,
    steps: int,
    lr: float,
    reference_batch: int,
    bound: float | None,
) -> Optimum:
    """Latents drawn from the distribution that minimises the expected objective of their label.

    mu starts at 0 and log_variance at 1; Adam moves both along one sample an identity and step. No
    divergence holds the distribution near the prior's: the official code has none.

    Args:
        task: rows of one label share one optimisation; nothing else does, so a row depends on
            (seed, label, draw) alone.
        objective: asked about one latent an identity.
        bound: latents are clamped to [-bound, bound], in the search with its gradient and at the
            end, as in LOMMA; None: never, as in KED-MI.
    """
    identities, row = task.labels.unique(return_inverse=True)
    keys = latents.stream_keys(seed, "distribution", identities)
    streams = Streams.of(seed, identities)

    def loss(distribution: Tensor, step: int) -> Tensor:
        z = _sample(distribution, keys + step, bound)
        return objective(z, identities, streams.at(step))

    mu = torch.zeros(len(keys), latent_dim, device=keys.device)
    distributions, _ = latents.adam(
        torch.cat([mu, torch.ones_like(mu)], dim=1),
        loss,
        steps=steps,
        lr=lr,
        reference_batch=reference_batch,
        saving=task.saving,
    )
    z = _sample(distributions[row], latents.row_keys(task.labels, task.draws, seed, "draws"), bound)
    with torch.no_grad():
        return Optimum(z, objective(z, task.labels, Streams.of(seed, task.labels, task.draws)))


def _sample(distribution: Tensor, keys: Tensor, bound: float | None) -> Tensor:
    """One latent (n, Z) of each distribution (n, 2 Z), drawn by its key (n,)."""
    mu, log_variance = distribution.chunk(2, dim=1)
    z = mu + torch.exp(0.5 * log_variance) * counter_normal(keys, mu.shape[1])
    return z if bound is None else z.clamp(-bound, bound)
