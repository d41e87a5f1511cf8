"""How a network learns to answer as another one does: what surrogates share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trapmid.augment import TrapAugmentation
from trapmid.config.bounds import (
    Count,
    Milestones,
    Momentum,
    NonNegative,
    Positive,
    PositiveShare,
    check_milestones,
)
from trapmid.runtime import Precision, Runtime, stream_seed
from trapmid.training.fit import decayed, set_lr, to_float
from trapmid.training.gan import Passes
from trapmid.types import Checkpointer, DivergedError, Saving, Stateful, Target


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """A training on images whose labels are distributions over classes; SGD."""

    epochs: Count
    batch_size: Count
    lr: Positive
    momentum: Momentum
    weight_decay: NonNegative
    milestones: Milestones  # epochs at which the learning rate is multiplied by `decay`
    decay: PositiveShare
    temperature: Positive
    augmentation: TrapAugmentation | None  # of the student's images; its teacher saw them plain
    precision: Precision
    keep_every: Count  # epochs between two saved states

    def __post_init__(self) -> None:
        check_milestones(self.milestones, self.epochs)

    def learn(
        self,
        student: Target,
        images: Tensor,
        logits: Tensor,
        rt: Runtime,
        checkpointer: Checkpointer,
    ) -> None:
        """Trains `student` in place and leaves it in eval mode.

        The loss is KL(softmax(t / tau) || softmax(s / tau)) / tau^2, summed over classes, averaged
        over the batch and added up over the members: those of an ensemble learn side by side,
        each as if it were alone. (The official code of LOMMA divides by tau^2 where
        Hinton et al. multiply; tau is 1.)

        Args:
            student: on the runtime's device.
            images: (N, 3, S, S) uint8.
            logits: (N, C) what the teacher says of them; -inf is allowed, for hard labels.
            rt: its seed shuffles.
            checkpointer: curve and state; a training that was cut off goes on from there.

        Raises:
            DivergedError: an epoch's mean divergence, or a weight, is not finite.
        """
        images, targets = images.to(rt.device), (logits / self.temperature).softmax(1).to(rt.device)
        passes = Passes(
            len(images), self.batch_size, stream_seed(rt.seed, "distillation", "batches")
        )
        per_epoch = len(images) // min(self.batch_size, len(images))
        trained = [p for p in student.parameters() if p.requires_grad]
        optimizer = torch.optim.SGD(
            trained, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay
        )
        parts: dict[str, Stateful] = {"student": student, "optimizer": optimizer}
        for epoch in Saving(checkpointer, self.keep_every).steps(parts, self.epochs):
            set_lr(optimizer, decayed(self.lr, self.decay, self.milestones, epoch))
            batches = [passes.batch(epoch * per_epoch + i).to(rt.device) for i in range(per_epoch)]
            with rt.seeded("imitation", epoch):
                divergence = self._epoch(student, images, targets, batches, optimizer, rt)
            self._check_finite(divergence, trained, epoch)
            checkpointer.log({"divergence": divergence}, epoch + 1)
        student.eval()

    def _check_finite(self, divergence: float, weights: Sequence[Tensor], epoch: int) -> None:
        if not math.isfinite(divergence) or not all(one.isfinite().all() for one in weights):
            raise DivergedError(
                f"epoch {epoch + 1} of {self.epochs}: divergence is {divergence:g}, or a "
                f"weight is not finite; lr: {self.lr} is too high"
            )

    def _epoch(
        self,
        student: Target,
        images: Tensor,
        targets: Tensor,
        batches: Sequence[Tensor],
        optimizer: torch.optim.Optimizer,
        rt: Runtime,
    ) -> float:
        """One pass over `batches` of rows; returns the mean divergence of batches and members."""
        student.train()
        total = torch.zeros((), device=rt.device)
        for rows in batches:
            batch = to_float(images[rows])
            if self.augmentation is not None:
                batch = self.augmentation(batch)
            with rt.autocast():
                member_logits = student.member_logits(batch)
            losses = torch.stack([self._divergence(targets[rows], one) for one in member_logits])
            optimizer.zero_grad(set_to_none=True)
            losses.sum().backward()
            optimizer.step()
            total += losses.detach().sum() / len(losses)
        return float(total) / len(batches)

    def _divergence(self, targets: Tensor, logits: Tensor) -> Tensor:
        own = F.log_softmax(logits.float() / self.temperature, dim=1)
        return F.kl_div(own, targets, reduction="batchmean") / self.temperature**2
