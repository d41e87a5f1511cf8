"""PLG-MI, second stage: max-margin latent search on random views (Yuan et al., AAAI 2023).

With `adaptive` it is PLG-MI+ or PLG-MI++ (Trap-MID, sec. 4.2, eq. 7 and 12): the signature terms
are added to every view's margin. With stronger views and `view_noise` it averages triggers away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from trapmid import losses, types
from trapmid.augment import PlgView
from trapmid.config.bounds import Count, NonNegative, Positive
from trapmid.runtime import Runtime, counter_normal, counter_uniform, eval_mode, frozen
from trapmid.search import latents
from trapmid.training import signatures
from trapmid.training.signatures import Adaptive
from trapmid.types import PaperScoring, Prior, Reconstruction, Target, Task


@dataclass(frozen=True, kw_only=True)
class Attack(types.Attack):
    paper_scoring: ClassVar = PaperScoring(
        batch=100,
        deviation="root_of_mean_variance",
        aa5="all_draws",
        accuracy="floats",
        distances="files",
        frechet_batch=100,
    )

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
        beside = signatures.terms(self.adaptive, task.side_information)
        keys = _Keys.of(task, rt.seed)
        attacked = labels.repeat(self.views)

        def objective(z: Tensor, step: int) -> Tensor:
            output = target(self._views(prior(z, labels), keys, step))  # one forward for all views
            loss = losses.max_margin(output.logits, attacked) + beside(output, attacked)
            return loss.view(self.views, -1).sum(dim=0)

        with eval_mode(target, prior), frozen(target, prior):
            optimum = latents.adam(
                latents.start(labels, draws, prior.latent_dim, rt.seed),
                objective,
                steps=self.steps,
                lr=self.lr,
                reference_batch=self.reference_batch,
                saving=task.saving,
            )
            return optimum.reconstruction(prior, task)

    def _views(self, images: Tensor, keys: _Keys, step: int) -> Tensor:
        """All views of all images, (views * N, 3, S, S), view by view."""
        u = counter_uniform(keys.views + step, self.views * PlgView.DRAWS)
        # The official jitter order is one for the whole batch of a seed: so it is a number of
        # (seed, draw, step), which no batch size changes.
        order = counter_uniform(keys.orders + step, PlgView.ORDERS * self.views)
        order = order.view(len(images), PlgView.ORDERS, self.views)
        views = [
            self.view(images, u[:, v * PlgView.DRAWS : (v + 1) * PlgView.DRAWS], order[:, :, v])
            for v in range(self.views)
        ]
        pixels = torch.cat(views)
        return pixels if self.view_noise == 0 else pixels + self._noise(images, keys, step)

    def _noise(self, images: Tensor, keys: _Keys, step: int) -> Tensor:
        """What is added to the pixels of all views, in their order."""
        noise = counter_normal(keys.noise + step, self.views * images[0].numel())
        noise = noise.view(len(images), self.views, *images.shape[1:]).transpose(0, 1)
        return self.view_noise * noise.flatten(0, 1)


class _Keys(NamedTuple):
    """One random stream a row (N,), for everything that is drawn of its views."""

    views: Tensor
    noise: Tensor
    orders: Tensor  # rows of one draw share it

    @classmethod
    def of(cls, task: Task, seed: int) -> _Keys:
        return cls(
            views=latents.row_keys(task.labels, task.draws, seed, "views"),
            noise=latents.row_keys(task.labels, task.draws, seed, "view noise"),
            orders=latents.stream_keys(seed, "jitter order", task.draws),
        )
