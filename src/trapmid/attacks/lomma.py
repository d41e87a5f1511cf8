"""LOMMA: logit loss and model augmentation (Nguyen et al., CVPR 2023), on GMI's prior or KED-MI's.

Students that were distilled from the target on public images are asked beside it, so that the
search finds what all of them see of a person, not what one of them overfits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from trapmid import losses, types
from trapmid.config.bounds import Count, Momentum, NonNegative, Positive
from trapmid.runtime import Runtime, eval_mode, frozen
from trapmid.search import averaging, distribution, latents
from trapmid.search.averaging import Averaging, Streams
from trapmid.search.distribution import Objective
from trapmid.search.latents import Optimum
from trapmid.training import signatures
from trapmid.training.signatures import Adaptive
from trapmid.types import PaperScoring, Prior, Reconstruction, Target, Task


@dataclass(frozen=True, kw_only=True)
class Attack(types.Attack):
    paper_scoring: ClassVar = PaperScoring(
        batch=50,
        deviation="mean_of_deviations",
        aa5="last_draw",
        accuracy="eight_bit",
        distances="raw",
        frechet_batch=None,
    )

    search: Literal["points", "distributions"]  # GMI's, or KED-MI's with clamped latents
    steps: Count
    lr: Positive
    momentum: Momentum  # of the search for points
    bound: Positive  # latents stay in [-bound, bound]
    identity_weight: NonNegative
    feature_weight: NonNegative  # lambda of the regulariser, inside the identity loss
    averaging: Averaging | None  # of the identity loss, over neighbours; official: none
    adaptive: Adaptive | None
    """Terms of PLG-MI+ and ++ inside the identity loss, so that its weight is theirs, too."""
    reference_batch: Count  # 50 in the paper

    def rows_in_memory(self) -> float:
        return 4.0 * averaging.rows_in_memory(self.averaging)  # the target and three students

    def invert(self, target: Target, prior: Prior, task: Task, rt: Runtime) -> Reconstruction:
        """As `types.Attack.invert`; the identity loss is

        -(T_y + sum_s S_s,y) / (1 + students) + lambda mean_j (g_j - mean_j)^2

        and the terms of `adaptive`, with raw logits, g the target's features and `mean` those of
        public images. The paper's
        regulariser draws around that mean; its code overwrites the draw with the mean itself.

        Raises:
            ValueError: the regulariser is on, and the target gives its logits for features.
        """
        task.side_information.need("students", "feature_mean")
        students, mean = task.side_information.students, task.side_information.feature_mean
        assert students is not None and mean is not None
        beside = signatures.terms(self.adaptive, task.side_information)

        def identity(images: Tensor, of: Tensor) -> Tensor:
            output = target(images)
            if self.feature_weight and output.features.data_ptr() == output.logits.data_ptr():
                raise ValueError(
                    "feature_weight: the target returns logits and no features, and would have its "
                    "logits drawn to those of strangers: must be 0.0 for it"
                )
            member_logits = torch.stack([output.logits, *students.member_logits(images)])
            logit = losses.own_logit(member_logits.mean(dim=0), of)
            features = (output.features - mean).square().mean(dim=1)
            total: Tensor = self.feature_weight * features - logit + beside(output, of)
            return total

        def objective(z: Tensor, of: Tensor, streams: Streams) -> Tensor:
            images = prior(z, of)
            loss = averaging.averaged(self.averaging, images, of, streams, identity)
            return self.identity_weight * loss - prior.realism(images, of)

        with eval_mode(target, students, prior), frozen(target, students, prior):
            return self._search(objective, prior, task, rt).reconstruction(prior, task)

    def _search(self, objective: Objective, prior: Prior, task: Task, rt: Runtime) -> Optimum:
        if self.search == "distributions":
            return distribution.search(
                task,
                objective,
                prior.latent_dim,
                rt.seed,
                steps=self.steps,
                lr=self.lr,
                reference_batch=self.reference_batch,
                bound=self.bound,
            )
        streams = Streams.of(rt.seed, task.labels, task.draws)
        return latents.nesterov(
            latents.start(task.labels, task.draws, prior.latent_dim, rt.seed),
            lambda z, step: objective(z, task.labels, streams.at(step)),
            steps=self.steps,
            lr=self.lr,
            momentum=self.momentum,
            reference_batch=self.reference_batch,
            bound=self.bound,
            saving=task.saving,
        )
