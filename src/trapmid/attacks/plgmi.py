"""PLG-MI, second stage: max-margin latent search on random views (Yuan et al., AAAI 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trapmid import latents, losses, types
from trapmid.augment import PlgView
from trapmid.runtime import Runtime, counter_uniform, eval_mode, frozen, stream_seed
from trapmid.types import Prior, Reconstruction, Target


@dataclass(frozen=True, kw_only=True)
class Attack(types.Attack):
    steps: int
    lr: float
    views: int  # independent random views per step; 2 in the paper
    view: PlgView
    reference_batch: int

    def invert(
        self, target: Target, prior: Prior, labels: Tensor, draws: Tensor, rt: Runtime
    ) -> Reconstruction:
        keys = latents.row_keys(labels, draws, rt.seed, "views")
        seeds = [stream_seed(rt.seed, "jitter order", draw) for draw in draws.tolist()]
        orders = torch.tensor(seeds, dtype=torch.int64, device=labels.device)

        def objective(z: Tensor, step: int) -> Tensor:
            images = prior(z, labels)
            u = counter_uniform(keys + step, self.views * PlgView.DRAWS)
            # The official jitter order is one for the whole batch of a seed: so it is a number of
            # (seed, draw, step), which no batch size changes.
            first = counter_uniform(orders + step, self.views) < 0.5
            seen = torch.cat(
                [
                    self.view(
                        images, u[:, v * PlgView.DRAWS : (v + 1) * PlgView.DRAWS], first[:, v]
                    )
                    for v in range(self.views)
                ]
            )  # one forward for all views
            margin = losses.max_margin(target(seen).logits, labels.repeat(self.views))
            return margin.view(self.views, -1).sum(dim=0)

        with eval_mode(target, prior), frozen(target, prior):
            z, loss = latents.adam(
                latents.start(labels, draws, prior.latent_dim, rt.seed),
                objective,
                steps=self.steps,
                lr=self.lr,
                reference_batch=self.reference_batch,
            )
            with torch.no_grad():
                return Reconstruction(prior(z, labels), labels, draws, z, loss)
