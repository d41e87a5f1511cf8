"""Which latents of a pool suit a class, by asking a target (PPA, Struppek et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trapmid.config.bounds import Count, Share
from trapmid.runtime import Runtime, eval_mode
from trapmid.search.latents import Variables
from trapmid.types import Prior, Saving, StylePrior, Target


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What a guided prior asks its target: which latents of a pool suit each class (PPA).

    A latent's score is the class's probability, as a mean over its image and the mirrored one.
    """

    pool: Count  # latents; 5,000 in the paper
    keep: Count  # of each class; 200
    psi: Share  # how far from the mean code the first `cutoff` layers are; 0.5
    cutoff: Count  # 8 of 18 layers
    clip: bool  # pixels to [0, 1], before they are resized; official: true, but not afterwards

    def __post_init__(self) -> None:
        if self.keep > self.pool:
            raise ValueError(f"keep: {self.keep} are more than the pool of {self.pool}")

    @torch.no_grad()
    def order(
        self, prior: StylePrior, pool: Sequence[Tensor], target: Target, rt: Runtime, saving: Saving
    ) -> Tensor:
        """Of each class the places of its likeliest latents, (C, keep) int64, the best first.

        Args:
            pool: the latents, in parts (n, Z) that are asked about at once.
            rt: its seed draws the noise of a stochastic target, for every part anew.
            saving: where an unfinished round of questions is kept; its steps are the parts.
        """
        likely = Variables(
            probabilities=torch.zeros(self.pool, target.num_classes, device=pool[0].device)
        )
        with eval_mode(prior, target):
            for step in saving.steps({"likely": likely}, len(pool)):
                codes = prior.styles(pool[step], self.psi, self.cutoff)
                images = prior.paint_clipped(codes) if self.clip else prior.paint(codes)
                first = step * len(pool[0])
                with rt.seeded("candidates", step):
                    answers = _answers(images, target)
                likely["probabilities"][first : first + len(images)] = answers
        order = likely["probabilities"].argsort(dim=0, descending=True, stable=True)
        return order[: self.keep].T


def _answers(images: Tensor, target: Target) -> Tensor:
    """Probabilities (n, C), a mean over images (n, 3, S, S) and the mirrored ones."""
    plain: Tensor = target(images).logits.softmax(dim=1)
    mirrored: Tensor = target(images.flip(-1)).logits.softmax(dim=1)
    return (plain + mirrored) / 2


def preferred(prior: Prior, wanted: int) -> StylePrior:
    """`prior`, as one that has style codes and so many candidates of each class.

    Raises:
        ValueError: it has not.
    """
    if not isinstance(prior, StylePrior):
        raise ValueError("prior: has no style codes; train one by prior_training.style")
    if prior.favourites < wanted:
        raise ValueError(f"candidates: {wanted} are more than the prior's {prior.favourites}")
    return prior
