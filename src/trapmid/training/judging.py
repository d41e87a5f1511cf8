"""How the judges of drawn faces learn: from people who are drawn for it, and whom no study has."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from tqdm import trange

from trapmid.metrics.features import as_float
from trapmid.runtime import Runtime
from trapmid.training.degradations import degrade

NOBODY = -1
"""The number of an image that shows no one person: a blank, noise, or the mean of several."""


class Faces(NamedTuple):
    """P people with K images each."""

    images: Tensor  # (P, K, 3, S, S) uint8
    vectors: Tensor  # (P, A) float32, the identity parameters


class Batch(NamedTuple):
    """Images of several people, some of nobody; degraded, on the device."""

    images: Tensor  # (N, 3, S, S) float32 in [0, 1]
    people: Tensor  # (N,) int64, NOBODY at the end
    vectors: Tensor  # (n, A) float32, of the first n images: of those that show somebody


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long, and on what."""

    steps: int
    people: int  # in a batch
    images_each: int
    nobodies: int
    lr: float  # at most: it rises over a tenth of the steps and falls to 0 along a cosine
    weight_decay: float


Loss = Callable[[Tensor, Batch], Tensor]
"""From what a judge says of a batch's images to a number."""


def fit(judge: nn.Module, loss: Loss, faces: Faces, plan: Plan, rt: Runtime) -> None:
    """Trains `judge` in place on degraded images of `faces`; leaves it in eval mode."""
    optimizer = torch.optim.AdamW(judge.parameters(), lr=plan.lr, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share(step, plan.steps))
    judge.train()
    with rt.seeded("judge"):
        for _ in trange(plan.steps, mininterval=5, unit="step"):
            batch = _batch(faces, plan, rt)
            value = loss(judge(batch.images), batch)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            schedule.step()
    judge.eval()


def _share(step: int, steps: int) -> float:
    rising = max(1, steps // 10)
    if step < rising:
        return (step + 1) / rising
    return (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising))) / 2


def _batch(faces: Faces, plan: Plan, rt: Runtime) -> Batch:
    count, each = faces.images.shape[:2]
    people = torch.randperm(count)[: plan.people].repeat_interleave(min(plan.images_each, each))
    which = torch.rand(min(plan.people, count), each).argsort(dim=1)[:, : plan.images_each]
    images = as_float(faces.images[people, which.flatten()])
    images = degrade(torch.cat([images, nobody(images, plan.nobodies)]))
    numbers = torch.cat([people, torch.full((plan.nobodies,), NOBODY)])
    return Batch(*(x.to(rt.device) for x in (images, numbers, faces.vectors[people])))


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
