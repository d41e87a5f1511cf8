"""KED-MI's search: a distribution of latents for every identity (Chen et al., ICCV 2021, sec. 3.3).

One optimisation per identity finds N(mu, diag exp(log_variance)); its images are draws from it. So
what tells the images of one identity apart is the luck of the draw alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trapmid.runtime import counter_normal, stream_seed
from trapmid.search import latents
from trapmid.types import Saving

Objective = Callable[[Tensor, Tensor], Tensor]
"""(latents (n, Z), labels (n,)) -> losses (n,)."""


def search(
    labels: Tensor,
    draws: Tensor,
    objective: Objective,
    latent_dim: int,
    seed: int,
    *,
    steps: int,
    lr: float,
    reference_batch: int,
    bound: float | None,
    saving: Saving | None,
) -> tuple[Tensor, Tensor]:
    """Latents drawn from the distribution that minimises the expected objective of their label.

    mu starts at 0 and log_variance at 1; Adam moves both along one sample an identity and step. No
    divergence holds the distribution near the prior's: the official code has none.

    Args:
        labels, draws: (N,) int64. Rows of one label share one optimisation; nothing else does, so a
            row depends on (seed, label, draw) alone.
        objective: asked about one latent an identity.
        bound: latents are clamped to [-bound, bound], in the search with its gradient and at the
            end, as in LOMMA; None: never, as in KED-MI.
        saving: as in `latents.adam`.

    Returns:
        (latents (N, Z), losses (N,)).
    """
    identities, row = labels.unique(return_inverse=True)
    keys = _keys(identities, seed, "distribution")

    def sample(distribution: Tensor, normal: Tensor) -> Tensor:
        mu, log_variance = distribution.chunk(2, dim=1)
        z = mu + torch.exp(0.5 * log_variance) * normal
        return z if bound is None else z.clamp(-bound, bound)

    def loss(distribution: Tensor, step: int) -> Tensor:
        return objective(sample(distribution, counter_normal(keys + step, latent_dim)), identities)

    mu = torch.zeros(len(keys), latent_dim, device=keys.device)
    found, _ = latents.adam(
        torch.cat([mu, torch.ones_like(mu)], dim=1),
        loss,
        steps=steps,
        lr=lr,
        reference_batch=reference_batch,
        saving=saving,
    )
    normal = counter_normal(latents.row_keys(labels, draws, seed, "draws"), latent_dim)
    z = sample(found[row], normal)
    with torch.no_grad():
        return z, objective(z, labels)


def _keys(labels: Tensor, seed: int, *scope: object) -> Tensor:
    keys = [stream_seed(seed, *scope, label) for label in labels.tolist()]
    return torch.tensor(keys, dtype=torch.int64, device=labels.device)
