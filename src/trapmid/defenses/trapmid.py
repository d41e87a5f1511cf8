"""Trap-MID: a trapdoor per class that model inversion falls into (Liu and Chen, NeurIPS 2024).

The paper's method is `injection.Objective` with triggers over the whole image; the ablations of its
appendix D are values of the fields below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trapmid import types
from trapmid.augment import TrapAugmentation
from trapmid.config.bounds import Count, NonNegative, Positive, PositiveShare, Share
from trapmid.losses import Smoothing
from trapmid.training import injection, trapdoors
from trapmid.training.savings import Savings
from trapmid.types import Setting


@dataclass(frozen=True, kw_only=True)
class Defense(types.Defense):
    alpha: Share  # blend ratio of a trigger
    beta: Share  # weight of the trapdoor loss; the main loss weighs 1 - beta
    step_size: Positive  # of the sign step on the triggers
    until: Share  # share of the epochs after which the triggers stay; 1 in the paper
    optimized: bool  # false: random triggers stay as drawn (ablation D.2, row 1)
    discriminator: bool  # false: triggers minimise the trapdoor loss alone (row 2)
    hiding_weight: NonNegative  # of the discriminators' term in eq. 5; 1 in the paper
    feature_discriminator: bool  # a second discriminator, on features; off in the paper
    feature_model_loss: bool  # the model, too, hides the triggers from that discriminator
    augmentation: TrapAugmentation | None  # null: "no augmentation" of App. D.5
    smoothing: Smoothing | None  # NegLS beside the trapdoor (App. E.8)
    smoothed_terms: Literal["both", "main"]  # whether the trapdoor's loss is smoothed, too
    # A cheaper search than the paper's, see `training.savings`
    free: bool  # triggers move by the gradient of the model's own backward pass
    discriminator_width: Count | None  # a small discriminator; null: the target's network
    search_every: Count  # steps from one pass for discriminators and triggers to the next
    frozen_after: PositiveShare | None  # trapdoor success of an epoch after which triggers stay

    def __post_init__(self) -> None:
        self._search()
        if self.feature_discriminator and not self.optimized:
            raise ValueError("feature_discriminator: needs optimized triggers")

    def objective(self, setting: Setting) -> types.Objective:
        mix = injection.Mix(
            beta=self.beta,
            augmentation=self.augmentation,
            smoothing=self.smoothing,
            smoothed_terms=self.smoothed_terms,
        )
        trapdoor = trapdoors.random_trapdoor(setting, self.alpha)
        search = self._search() if self.optimized else None
        return injection.Objective(trapdoor, mix, search, setting)

    def _search(self) -> injection.Search:
        return injection.Search(
            step_size=self.step_size,
            discriminator=self.discriminator,
            hiding_weight=self.hiding_weight,
            feature_discriminator=self.feature_discriminator,
            feature_model_loss=self.feature_model_loss,
            until=self.until,
            savings=Savings(
                free=self.free,
                discriminator_width=self.discriminator_width,
                every=self.search_every,
                frozen_after=self.frozen_after,
            ),
        )
