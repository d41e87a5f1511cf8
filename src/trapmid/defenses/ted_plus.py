"""TeD+: TeD's patches trained as Trap-MID trains its triggers (Trap-MID, App. D.1).

The triggers are optimised inside their masks only: elsewhere their gradient is zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from trapmid import types
from trapmid.augment import TrapAugmentation
from trapmid.config.bounds import NonNegative, Positive, Share
from trapmid.training import injection
from trapmid.training.savings import NO_SAVINGS
from trapmid.training.trapdoors import Patches
from trapmid.types import Setting


@dataclass(frozen=True, kw_only=True)
class Defense(Patches, types.Defense):
    step_size: Positive  # of the sign step on the triggers
    until: Share  # share of the epochs after which the triggers stay; 1 in the paper
    hiding_weight: NonNegative  # of the discriminator's term in eq. 5; 1 in the paper
    augmentation: TrapAugmentation | None

    def objective(self, setting: Setting) -> types.Objective:
        mix = injection.Mix(
            beta=self.beta,
            augmentation=self.augmentation,
            smoothing=None,
            smoothed_terms="main",
        )
        return injection.Objective(self.trapdoor(setting), mix, self._search(), setting)

    def _search(self) -> injection.Search:
        return injection.Search(
            step_size=self.step_size,
            discriminator=True,
            hiding_weight=self.hiding_weight,
            feature_discriminator=False,
            feature_model_loss=False,
            until=self.until,
            savings=NO_SAVINGS,
        )
