"""No defence: cross-entropy, with or without Trap-MID's augmentation.

With the augmentation it is the control that Trap-MID's comparison needs: it separates what the
trapdoor does from what stronger augmentation does.
"""

from __future__ import annotations

from dataclasses import dataclass

from trapmid import types
from trapmid.augment import TrapAugmentation
from trapmid.training.objectives import Classify
from trapmid.types import Setting


@dataclass(frozen=True, kw_only=True)
class Defense(types.Defense):
    augmentation: TrapAugmentation | None

    def objective(self, setting: Setting) -> types.Objective:
        return Classify(setting.rt, augmentation=self.augmentation)
