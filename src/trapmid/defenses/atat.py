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
from trapmid.runtime import Runtime, eval_mode, frozen
from trapmid.types import Loss, Progress, Setting, Target


@dataclass(frozen=True, kw_only=True)
class Defense(types.Defense):
    weight: Positive  # of the moved images, beside 1 of the images themselves
    radius: OpenShare  # of the Linf ball, in pixels of [0, 1]; half of what [-1, 1] would say
    step: OpenShare  # likewise
    steps: Count
    augmentation: TrapAugmentation | None  # before an image is moved

    def check_training(self, batch_size: int, precision: str) -> None:
        del batch_size
        _check_precision(precision)

    def objective(self, setting: Setting) -> types.Objective:
        _check_precision(setting.rt.precision)
        return Objective(self, setting.num_classes, setting.rt)


def _check_precision(precision: str) -> None:
    """The next value of a bright pixel is 1/256 away in bf16, beyond the ball of any row here.

    `auto` would do on one machine and not on another.
    """
    if precision != "fp32":
        raise ValueError(f"classifier_training.*.precision: atat needs fp32, not {precision}")


class Objective(types.Objective):
    """Cross-entropy of the images, and `weight` times that of the moved ones with wrong labels."""

    def __init__(self, defense: Defense, num_classes: int, rt: Runtime) -> None:
        super().__init__()
        self._defense, self._num_classes, self._rt = defense, num_classes, rt

    def forward(self, model: Target, images: Tensor, labels: Tensor, progress: Progress) -> Loss:
        """The loss; its part `turned` is the share of moved images that have the wrong label."""
        del progress
        d, n = self._defense, len(images)
        if d.augmentation is not None:
            images = d.augmentation(images)
        wrong, start = self._draws(images, labels)
        moved = self._moved(model, images, wrong, start)
        with self._rt.autocast():  # one forward: both share batch statistics
            logits = model(torch.cat([images, moved])).logits.float()
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
                with self._rt.autocast():
                    logits = model(x).logits.float()
                (slope,) = torch.autograd.grad(losses.cross_entropy(logits, wrong).sum(), x)
                x = torch.clamp(x.detach() - d.step * slope.sign(), low, high)
        return x
