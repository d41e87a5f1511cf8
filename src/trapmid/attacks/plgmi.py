"""PLG-MI, second stage: max-margin latent search on random views (Yuan et al., AAAI 2023).

With `adaptive` it is PLG-MI+ or PLG-MI++ (Trap-MID, sec. 4.2, eq. 7 and 12): the signature terms
are added to every view's margin. With stronger views and `view_noise` it averages triggers away.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trapmid import losses, types
from trapmid.augment import PlgView
from trapmid.config.params import Count, NonNegative, Positive
from trapmid.runtime import (
    Runtime,
    counter_normal,
    counter_uniform,
    eval_mode,
    frozen,
    stream_seed,
)
from trapmid.search import latents
from trapmid.training.signatures import Adaptive
from trapmid.types import Prior, Reconstruction, Target, Task


@dataclass(frozen=True, kw_only=True)
class Attack(types.Attack):
    steps: Count
    lr: Positive
    views: Count  # independent random views per step; 2 in the paper
    view: PlgView
    view_noise: NonNegative  # deviation of Gaussian noise on the pixels of every view; official: 0
    adaptive: Adaptive | None  # official: none
    reference_batch: Count

    def rows_in_memory(self) -> float:
        return float(self.views)

    def invert(self, target: Target, prior: Prior, task: Task, rt: Runtime) -> Reconstruction:
        labels, draws = task.labels, task.draws
        if self.adaptive is not None:
            self.adaptive.check(task.side_information)
        keys = latents.row_keys(labels, draws, rt.seed, "views")
        noise_keys = latents.row_keys(labels, draws, rt.seed, "view noise")
        seeds = [stream_seed(rt.seed, "jitter order", draw) for draw in draws.tolist()]
        orders = torch.tensor(seeds, dtype=torch.int64, device=labels.device)
        wanted = labels.repeat(self.views)

        def objective(z: Tensor, step: int) -> Tensor:
            images = prior(z, labels)
            u = counter_uniform(keys + step, self.views * PlgView.DRAWS)
            # The official jitter order is one for the whole batch of a seed: so it is a number of
            # (seed, draw, step), which no batch size changes.
            order = counter_uniform(orders + step, PlgView.ORDERS * self.views)
            order = order.view(len(z), PlgView.ORDERS, self.views)
            seen = torch.cat(
                [
                    self.view(
                        images, u[:, v * PlgView.DRAWS : (v + 1) * PlgView.DRAWS], order[:, :, v]
                    )
                    for v in range(self.views)
                ]
            )  # one forward for all views
            if self.view_noise > 0:
                pixels = images[0].numel()
                noise = counter_normal(noise_keys + step, self.views * pixels)
                noise = noise.view(len(z), self.views, *images.shape[1:]).transpose(0, 1)
                seen = seen + self.view_noise * noise.reshape(seen.shape)
            output = target(seen)
            loss = losses.max_margin(output.logits, wanted)
            if self.adaptive is not None:
                loss = loss + self.adaptive(output, wanted, task.side_information)
            return loss.view(self.views, -1).sum(dim=0)

        with eval_mode(target, prior), frozen(target, prior):
            z, loss = latents.adam(
                latents.start(labels, draws, prior.latent_dim, rt.seed),
                objective,
                steps=self.steps,
                lr=self.lr,
                reference_batch=self.reference_batch,
                saving=task.saving,
            )
            with torch.no_grad():
                return Reconstruction(prior(z, labels), labels, draws, z, loss)
