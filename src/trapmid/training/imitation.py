"""How a network learns what a face recogniser says of faces, before it learns names.

Of few photographs a person a classifier learns little about faces. A recogniser has seen millions,
and its embedding says more of a stranger's image than the stranger's name does: 128 numbers. As the
hints of Romero et al. (FitNets, ICLR 2015), at the end of the network instead of its middle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trapmid import augment
from trapmid.config.study import ClassifierTraining
from trapmid.runtime import Runtime, eval_mode
from trapmid.training.fit import decayed, make_optimizer, set_lr, to_float
from trapmid.types import Checkpointer, Saving, Stateful, Target, check_finite

_AT_ONCE = 500  # images that the recogniser is asked about between two saved states

Recogniser = Callable[[Tensor], Tensor]
"""From images (N, 3, S, S) in [0, 1] to embeddings (N, D)."""


class Faces(NamedTuple):
    """Images of anybody; nobody's name is asked."""

    train: Tensor  # (N, 3, S, S) uint8
    held_out: Tensor  # (n, 3, S, S) uint8; n may be 0


class _Answers:
    """What the recogniser said of the images so far, in their order."""

    def __init__(self) -> None:
        self.rows: Tensor = torch.empty(0)

    def add(self, rows: Tensor) -> None:
        self.rows = torch.cat([self.rows, rows]) if len(self.rows) else rows

    def state_dict(self) -> dict[str, Tensor]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Tensor]) -> None:
        self.rows = state_dict["rows"]


def imitate(
    student: Target,
    faces: Faces,
    recogniser: Recogniser,
    augmentation: Callable[[Tensor], Tensor] | None,
    plan: ClassifierTraining,
    rt: Runtime,
    checkpointer: Checkpointer,
) -> float | None:
    """Trains `student` in place until its logits are what `recogniser` says of the plain images.

    The loss is the mean square of the difference, in units of the answers' deviation over all of
    their numbers; their mean is taken off, so a student that says 0 has loss 1. The recogniser is
    asked once about every image. Resumes from `checkpointer`, in the middle of the questions, too.

    Args:
        student: has as many outputs as the recogniser's embedding; on the runtime's device.
        augmentation: of the student's images; it answers for the image as it was.
        plan: how it is trained; every epoch is of use, and the last one is kept.

    Returns:
        The share of the variance of the held-out answers that the student explains, at most 1; None
        where no image is held out.

    Raises:
        DivergedError: an epoch's mean loss is not finite.
    """
    everything = torch.cat([faces.train, faces.held_out])
    chunks = everything.split(_AT_ONCE)
    optimizer = make_optimizer(plan, student.parameters())
    answers = _Answers()
    parts: dict[str, Stateful] = {"student": student, "optimizer": optimizer, "answers": answers}
    explained = None
    saving = Saving(checkpointer, 1)
    for step in saving.steps(parts, len(chunks) + plan.epochs):
        if step < len(chunks):
            answers.add(recogniser(to_float(chunks[step])).float().cpu())
            continue
        epoch = step - len(chunks)
        set_lr(optimizer, decayed(plan.lr, plan.decay, plan.milestones, epoch))
        wanted, held_out = _standardised(answers.rows, len(faces.train))
        with rt.seeded("imitation", epoch):
            loss = _epoch(student, faces.train, wanted, augmentation, plan, optimizer, rt)
        check_finite({"loss": loss}, f"epoch {epoch + 1} of {plan.epochs}")
        explained = _explained(student, faces.held_out, held_out, rt)
        curve = {"loss": loss} | ({} if explained is None else {"explained": explained})
        checkpointer.log(curve, epoch + 1)
    student.eval()
    return explained


def _standardised(answers: Tensor, learnt: int) -> tuple[Tensor, Tensor]:
    """The answers on the first `learnt` images and on the others, in units of the first ones'."""
    mean = answers[:learnt].mean(dim=0)
    deviation = (answers[:learnt] - mean).square().mean().sqrt().clamp(min=1e-12)
    scaled = (answers - mean) / deviation
    return scaled[:learnt], scaled[learnt:]


def _epoch(
    student: Target,
    images: Tensor,
    wanted: Tensor,
    augmentation: Callable[[Tensor], Tensor] | None,
    plan: ClassifierTraining,
    optimizer: torch.optim.Optimizer,
    rt: Runtime,
) -> float:
    """One pass; returns the mean loss of its batches."""
    student.train()
    size = min(plan.batch_size, len(images))
    order = torch.randperm(len(images))[: len(images) // size * size]
    total = torch.zeros((), device=rt.device)
    for rows in order.split(size):
        batch = to_float(images[rows].to(rt.device))
        if plan.flip:
            batch = augment.flip(batch, (torch.rand(size) < 0.5).to(rt.device))
        if augmentation is not None:
            batch = augmentation(batch)
        with rt.autocast():
            said = student(batch).logits.float()
        loss = F.mse_loss(said, wanted[rows].to(rt.device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.detach()
    return float(total) / (len(order) // size)


@torch.no_grad()
def _explained(student: Target, images: Tensor, wanted: Tensor, rt: Runtime) -> float | None:
    """1 - squared error / variance, both over all images and numbers."""
    if not len(images):
        return None
    with eval_mode(student):
        said = [
            student(to_float(part.to(rt.device))).logits.float().cpu() for part in images.split(500)
        ]
    error = (torch.cat(said) - wanted).square().sum()
    spread = (wanted - wanted.mean(dim=0)).square().sum().clamp(min=1e-12)
    return float(1 - error / spread)
