"""GMI: generative model inversion, second stage (Zhang et al., CVPR 2020, eq. 2).

Latent search of a public prior for images that are real to its critic and confident to the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trapmid import losses, types
from trapmid.config.bounds import Count, Momentum, NonNegative, Positive
from trapmid.runtime import Runtime, eval_mode, frozen
from trapmid.search import averaging, latents
from trapmid.search.averaging import Averaging, Streams
from trapmid.training import signatures
from trapmid.training.signatures import Adaptive
from trapmid.types import PaperScoring, Prior, Reconstruction, Target, Task


@dataclass(frozen=True, kw_only=True)
class Attack(types.Attack):
    paper_scoring: ClassVar = PaperScoring(
        batch=250,
        deviation="root_of_mean_variance",
        aa5="all_draws",
        accuracy="eight_bit",
        distances="files",
        frechet_batch=100,
    )

    steps: Count
    lr: Positive
    momentum: Momentum
    identity_weight: NonNegative
    bound: Positive  # latents are clipped to [-bound, bound]
    averaging: Averaging | None  # of the identity loss, over neighbours; official: none
    adaptive: Adaptive | None
    """Terms of PLG-MI+ and ++ inside the identity loss, so that its weight is theirs, too."""
    reference_batch: Count  # the batch whose mean the official code descends; 250 in the paper

    def rows_in_memory(self) -> float:
        return averaging.rows_in_memory(self.averaging)

    def invert(self, target: Target, prior: Prior, task: Task, rt: Runtime) -> Reconstruction:
        labels, draws = task.labels, task.draws
        streams = Streams.of(rt.seed, labels, draws)
        beside = signatures.terms(self.adaptive, task.side_information)

        def identity(images: Tensor, of: Tensor) -> Tensor:
            output = target(images)
            return losses.cross_entropy(output.logits, of) + beside(output, of)

        def objective(z: Tensor, step: int) -> Tensor:
            images = prior(z, labels)
            loss = averaging.averaged(self.averaging, images, labels, streams.at(step), identity)
            return self.identity_weight * loss - prior.realism(images, labels)

        with eval_mode(target, prior), frozen(target, prior):
            optimum = latents.nesterov(
                latents.start(labels, draws, prior.latent_dim, rt.seed),
                objective,
                steps=self.steps,
                lr=self.lr,
                momentum=self.momentum,
                reference_batch=self.reference_batch,
                bound=self.bound,
                saving=task.saving,
            )
            return optimum.reconstruction(prior, task)
