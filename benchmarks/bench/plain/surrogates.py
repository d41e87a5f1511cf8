"""Distillation of students as LOMMA's released code has it."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F

from bench.plain import loading
from bench.plain.loading import Pictures
from trapmid.nets.ensemble import Ensemble, Member
from trapmid.runtime import Runtime, stream_seed
from trapmid.surrogates.distil import Surrogate
from trapmid.training.gan import Passes
from trapmid.types import Target


def distil(
    how: Surrogate, students: Ensemble, teacher: Target, public: Pictures, rt: Runtime, epochs: int
) -> None:
    """Student after student; for each the teacher answers every image anew, in every epoch.

    The teacher's side of the divergence is not cut off, so it is differentiated, too, in vain.
    """
    teacher.eval().requires_grad_(True)
    passes = Passes(
        len(public.decoded), how.batch_size, stream_seed(rt.seed, "distillation", "batches")
    )
    for student in students.members:
        _learn(how, cast(Member, student.train()), teacher, public, passes, epochs)
    teacher.requires_grad_(False).zero_grad(set_to_none=True)
    students.eval()


def _learn(
    how: Surrogate,
    student: Member,
    teacher: Target,
    public: Pictures,
    passes: Passes,
    epochs: int,
) -> None:
    optimizer = torch.optim.SGD(
        student.parameters(), lr=how.lr, momentum=how.momentum, weight_decay=how.weight_decay
    )
    count = len(public.decoded)
    for step in range(epochs * (count // min(how.batch_size, count))):
        images = loading.batch(public, passes.batch(step))
        asked = (teacher(images).logits / how.temperature).softmax(dim=1)
        own = F.log_softmax(student(images)[0] / how.temperature, dim=1)
        loss = F.kl_div(own, asked, reduction="sum") / how.temperature**2 / len(images)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
