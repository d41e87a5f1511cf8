"""The plain training objective that most defences keep: classify, whatever else they change."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from trapmid import losses, types
from trapmid.losses import Smoothing
from trapmid.runtime import Runtime
from trapmid.types import Loss, Progress, Target


class Classify(types.Objective):
    """Cross-entropy, on augmented images and with smoothed labels where these are given."""

    def __init__(
        self,
        rt: Runtime,
        *,
        augmentation: Callable[[Tensor], Tensor] | None = None,
        smoothing: Smoothing | None = None,
    ) -> None:
        super().__init__()
        self._rt, self._augmentation, self._smoothing = rt, augmentation, smoothing

    def forward(self, model: Target, images: Tensor, labels: Tensor, progress: Progress) -> Loss:
        if self._augmentation is not None:
            images = self._augmentation(images)
        with self._rt.autocast():
            logits = model(images).logits.float()
        factor = 0.0
        if self._smoothing is not None:
            factor = self._smoothing.at(progress.epoch, progress.epochs)
        loss = losses.smoothed_cross_entropy(logits, labels, factor).mean()
        return Loss(loss, {"train_accuracy": (logits.argmax(dim=1) == labels).float().mean()})
