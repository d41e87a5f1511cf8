"""No defence: cross-entropy, with or without Trap-MID's augmentation.

With the augmentation it is the control that Trap-MID's comparison needs: it separates what the
trapdoor does from what stronger augmentation does.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from trapmid import losses, types
from trapmid.augment import TrapAugmentation
from trapmid.runtime import Runtime
from trapmid.types import Loss, Progress, Setting, Target


@dataclass(frozen=True, kw_only=True)
class Defense(types.Defense):
    augmentation: TrapAugmentation | None

    def harden(self, model: Target) -> Target:
        return model

    def objective(self, setting: Setting) -> types.Objective:
        return Objective(self.augmentation, setting.rt)


class Objective(types.Objective):
    def __init__(self, augmentation: TrapAugmentation | None, rt: Runtime) -> None:
        super().__init__()
        self._augmentation, self._rt = augmentation, rt

    def forward(self, model: Target, images: Tensor, labels: Tensor, progress: Progress) -> Loss:
        del progress
        if self._augmentation is not None:
            images = self._augmentation(images)
        with self._rt.autocast():
            logits = model(images).logits.float()
        hits = (logits.argmax(dim=1) == labels).float().mean()
        return Loss(losses.cross_entropy(logits, labels).mean(), {"train_accuracy": hits})
