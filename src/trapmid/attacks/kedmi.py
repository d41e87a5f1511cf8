"""KED-MI, second stage: distribution recovery (Chen et al., ICCV 2021, sec. 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trapmid import losses, types
from trapmid.config.bounds import Count, NonNegative, Positive
from trapmid.runtime import Runtime, eval_mode, frozen
from trapmid.search import averaging, distribution
from trapmid.search.averaging import Averaging, Streams
from trapmid.training import signatures
from trapmid.training.signatures import Adaptive
from trapmid.types import PaperScoring, Prior, Reconstruction, Target, Task


@dataclass(frozen=True, kw_only=True)
class Attack(types.Attack):
    paper_scoring: ClassVar = PaperScoring(
        batch=250,  # inferred: GMI's script
        deviation="root_of_mean_variance",
        aa5="all_draws",
        accuracy="eight_bit",
        distances="files",
        frechet_batch=100,
    )

    steps: Count
    lr: Positive
    identity_weight: NonNegative
    averaging: Averaging | None  # of the identity loss, over neighbours; official: none
    adaptive: Adaptive | None
    """Terms of PLG-MI+ and ++ inside the identity loss, so that its weight is theirs, too."""
    reference_batch: Count  # 250 in the paper, inferred: GMI's script

    def rows_in_memory(self) -> float:
        return averaging.rows_in_memory(self.averaging)

    def invert(self, target: Target, prior: Prior, task: Task, rt: Runtime) -> Reconstruction:
        beside = signatures.terms(self.adaptive, task.side_information)

        def identity(images: Tensor, of: Tensor) -> Tensor:
            output = target(images)
            return losses.cross_entropy(output.logits, of) + beside(output, of)

        def objective(z: Tensor, of: Tensor, streams: Streams) -> Tensor:
            images = prior(z, of)
            loss = averaging.averaged(self.averaging, images, of, streams, identity)
            return self.identity_weight * loss - prior.realism(images, of)

        with eval_mode(target, prior), frozen(target, prior):
            optimum = distribution.search(
                task,
                objective,
                prior.latent_dim,
                rt.seed,
                steps=self.steps,
                lr=self.lr,
                reference_batch=self.reference_batch,
                bound=None,
            )
            return optimum.reconstruction(prior, task)
