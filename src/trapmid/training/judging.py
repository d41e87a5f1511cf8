"""How judges learn: from people who are drawn for it, or from the public ones of a study."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trapmid.config.study import JudgeTraining
from trapmid.metrics import features, identification
from trapmid.metrics.features import as_float
from trapmid.runtime import Runtime, Stream
from trapmid.training.degradations import degrade
from trapmid.training.gan import log_losses
from trapmid.types import UNSAVED, FaceBatch, Reader, Saving, Stateful

NOBODY = -1
"""The number of an image that shows no one person: a blank, noise, or the mean of several."""

_LEAST_DEVIATION = 1e-6  # of a parameter that is the same in everybody, and does not count
_AT_ONCE = 200  # images that are read at once for the calibration


class Faces(NamedTuple):
    """N images of P people, those of one person after each other."""

    images: Tensor  # (N, 3, S, S) uint8
    counts: Tensor  # (P,) int64, images of each person
    vectors: Tensor  # (P, A) float32, the parameters; A may be 0


Loss = Callable[[Tensor, FaceBatch], Tensor]
"""From what a judge says of a batch's images to a number."""


def fit(
    judge: nn.Module,
    loss: Loss,
    faces: Faces,
    plan: JudgeTraining,
    rt: Runtime,
    saving: Saving = UNSAVED,
) -> None:
    """Trains `judge` in place on degraded images of `faces`; leaves it in eval mode.

    Raises:
        DivergedError: the loss is not finite.
    """
    optimizer = torch.optim.AdamW(judge.parameters(), lr=plan.lr, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share(step, plan.steps))
    parts: dict[str, Stateful] = {"judge": judge, "optimizer": optimizer, "schedule": schedule}
    parts["stream"] = Stream(rt.device)
    judge.train()
    with rt.seeded("judge"):
        for step in saving.steps(parts, plan.steps):
            batch = _batch(faces, plan, rt)
            value = loss(judge(batch.images), batch)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            schedule.step()
            log_losses(saving.checkpointer, {"loss": value}, step, plan.steps)
    judge.eval()


def calibrate(judge: Reader, learnt: Faces, held_out: Faces, rt: Runtime) -> None:
    """Writes into a reader how parameters vary, and how far a reading of each can be relied on.

    Args:
        judge: trained, in eval mode.
        learnt: the people from whom it learnt; parameters vary among them.
        held_out: others, on whose degraded images readings are measured.
        rt: where to compute.
    """
    with rt.seeded("calibration"):
        images = degrade(as_float(held_out.images))
    readings = features.vectors(judge, images, batch_size=_AT_ONCE, rt=rt)
    truth = held_out.vectors.repeat_interleave(held_out.counts, dim=0)
    judge.reliability.copy_(identification.reliability(readings, truth))
    judge.mean.copy_(learnt.vectors.mean(dim=0))
    judge.deviation.copy_(learnt.vectors.std(dim=0).clamp(min=_LEAST_DEVIATION))


def _share(step: int, steps: int) -> float:
    rising = max(1, steps // 10)
    if step < rising:
        return (step + 1) / rising
    return (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising))) / 2


def _batch(faces: Faces, plan: JudgeTraining, rt: Runtime) -> FaceBatch:
    people = torch.randperm(len(faces.counts))[: plan.people]
    chosen = _chosen(faces.counts, people, plan.images_each)
    images = as_float(faces.images[chosen.images])
    images = degrade(torch.cat([images, nobody(images, plan.nobodies)]))
    numbers = torch.cat([chosen.people, torch.full((plan.nobodies,), NOBODY)])
    return FaceBatch(*(x.to(rt.device) for x in (images, numbers, faces.vectors[chosen.people])))


class _Chosen(NamedTuple):
    """Some images of some people, person after person."""

    images: Tensor  # (n,) int64, rows of `Faces.images`
    people: Tensor  # (n,) int64, whom they show


def _chosen(counts: Tensor, people: Tensor, each: int) -> _Chosen:
    """At most `each` images of each of `people`, without replacement."""
    first = counts.cumsum(dim=0) - counts
    lots = torch.rand(len(people), int(counts.max()))
    lots[torch.arange(lots.shape[1]) >= counts[people, None]] = torch.inf  # that person has none
    which = lots.argsort(dim=1)[:, :each]
    there = which < counts[people, None]
    rows, whose = first[people, None] + which, people[:, None].expand_as(which)
    return _Chosen(rows[there], whose[there])


def nobody(images: Tensor, count: int) -> Tensor:
    """`count` images of nobody: means of 2 to 64 of `images`, and every second flat or noise.

    An embedding of such an image must lie near no person's: a blurred mean of faces is what an
    attack finds first.
    """
    made = []
    for number in range(count):
        some = images[torch.randperm(len(images))[: int(torch.randint(2, 65, ()))]]
        mean = some.mean(dim=0)
        if number % 2:
            flat = torch.rand(3, 1, 1).expand_as(mean) * torch.rand(())
            mean = flat if number % 4 == 1 else torch.rand_like(mean)
        made.append(mean)
    return torch.stack(made) if made else images[:0]
