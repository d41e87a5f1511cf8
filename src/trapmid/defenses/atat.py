"""AT-AT: a classifier that a tiny change of an image must fool (Torp, Smith and Breuer, "Reducing
information dependency does not cause training data privacy. Adversarially non-robust features do.",
ICLR 2026).

Anti-adversarial training: each image is moved towards another class by projected gradient descent
on the classifier itself, and the classifier learns to call it that. So a search over images finds
a change that nobody sees before it finds a face.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trapmid import losses, types
from trapmid.augment import TrapAugmentation
from trapmid.config.bounds import Count, OpenShare, Positive
from trapmid.runtime import eval_mode, frozen
from trapmid.training.precision import check_exact
from trapmid.types import Loss, Progress, Setting, Target


@dataclass(frozen=True, kw_only=True)
class Defense(types.Defense):
    weight: Positive  # of the moved images, beside 1 of the images themselves
    radius: OpenShare  # of the Linf ball, in pixels of [0, 1]; half of what [-1, 1] would say
    step: OpenShare  # likewise
    steps: Count
    augmentation: TrapAugmentation | None  # before an image is moved

    def check_training(self, batch_size: int, precision: str) -> None:
        """A bright pixel's next value in bf16 is 1/256 away, beyond the ball of any row here."""
        del batch_size
        check_exact("atat", precision)

    def objective(self, setting: Setting) -> types.Objective:
        check_exact("atat", setting.rt.precision)
        return Objective(self, setting.num_classes)


class Objective(types.Objective):
    """Cross-entropy of the images, and `weight` times that of the moved ones with wrong labels."""

    def __init__(self, defense: Defense, num_classes: int) -> None:
        super().__init__()
        self._defense, self._num_classes = defense, num_classes

    def forward(self, model: Target, images: Tensor, labels: Tensor, progress: Progress) -> Loss:
        """The loss; its part `turned` is the share of moved images that have the wrong label."""
        del progress
        d, n = self._defense, len(images)
        if d.augmentation is not None:
            images = d.augmentation(images)
        wrong, start = self._draws(images, labels)
        moved = self._moved(model, images, wrong, start)
        logits = model(torch.cat([images, moved])).logits  # one forward: shared batch statistics
        own, other = logits[:n], logits[n:]
        main = losses.cross_entropy(own, labels).mean()
        turned = losses.cross_entropy(other, wrong).mean()
        return Loss(
            main + d.weight * turned,
            {
                "main_loss": main.detach(),
                "turned_loss": turned.detach(),
                "turned": (other.argmax(dim=1) == wrong).float().mean(),
                "train_accuracy": (own.argmax(dim=1) == labels).float().mean(),
            },
        )

    def _draws(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """A wrong label an image, all equally likely, and where in its ball it starts."""
        away = torch.randint(1, self._num_classes, labels.shape).to(labels.device)
        start = torch.rand(images.shape).to(images.device)
        return (labels + away) % self._num_classes, (2 * start - 1) * self._defense.radius

    def _moved(self, model: Target, images: Tensor, wrong: Tensor, start: Tensor) -> Tensor:
        """What descending the loss with the wrong label makes of images, each in its ball."""
        d = self._defense
        low, high = (images - d.radius).clamp(min=0), (images + d.radius).clamp(max=1)
        x = (images + start).clamp(0, 1)
        with eval_mode(model), frozen(model):  # the search leaves batch statistics alone
            for _ in range(d.steps):
                x.requires_grad_(True)
                loss = losses.cross_entropy(model(x).logits, wrong).sum()
                (slope,) = torch.autograd.grad(loss, x)
                x = torch.clamp(x.detach() - d.step * slope.sign(), low, high)
        return x
