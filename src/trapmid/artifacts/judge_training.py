"""A judge learns from the public people of a data row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from trapmid import wiring
from trapmid.artifacts import judges
from trapmid.artifacts.judges import LearntFromPublic
from trapmid.config.study import JudgeTraining, TrainedJudgeRow
from trapmid.runtime import Runtime
from trapmid.training import judging
from trapmid.training.judging import Faces
from trapmid.types import Checkpointer, Judge, Learns, Person, Reader, Saving

LEAST_PEOPLE = 20
"""Fewer people are no training."""

_HELD_OUT = 0.1  # share of people on whom a reader's readings are measured
_LARGEST = 64  # pixels of a side that a judge works on; it resizes larger images


class Trained(NamedTuple):
    """A judge, and from whom it learnt."""

    judge: Judge
    image_size: int  # that it works on
    learnt_from: LearntFromPublic


@dataclass(frozen=True)
class Public:
    """Public images and their people."""

    images: Tensor  # (n, 3, S, S) uint8
    people: Sequence[Person]


def train(
    row: TrainedJudgeRow,
    plan: JudgeTraining,
    public: Public,
    rt: Runtime,
    checkpointer: Checkpointer,
) -> Trained:
    """Trains the judge of `row`; a reader is calibrated on people from whom it did not learn.

    Raises:
        ValueError: too few people have enough images, or the row's table does not fit.
        DivergedError: the loss is not finite.
    """
    size = image_size(public.images.shape[-1])
    with rt.seeded("initial weights"):
        judge = rt.place(wiring.judge(row.method)(size))
    reader = judge if isinstance(judge, Reader) else None
    assert isinstance(judge, Learns)  # `wiring.judge_training` refuses others
    people = _able(row, public.people, judge.least_images)
    held_out = frozenset() if reader is None else _held_out(len(people), rt)
    parts = [[p for i, p in enumerate(people) if (i in held_out) == out] for out in (False, True)]
    learnt = _faces(row, judge, public.images, parts[0])
    judging.fit(judge, judge.loss, learnt, plan, rt, Saving(checkpointer, plan.keep_every))
    if reader is not None:
        judging.calibrate(reader, learnt, _faces(row, reader, public.images, parts[1]), rt)
    return Trained(judge, size, _whom(row, people))


def image_size(pixels: int) -> int:
    """On how many pixels of a side a judge of images of so many works: a multiple of 8."""
    return max(16, min(pixels, _LARGEST) // 8 * 8)


def _able(row: TrainedJudgeRow, people: Sequence[Person], least_images: int) -> list[Person]:
    least = max(row.min_images, least_images)
    able = [person for person in people if len(person.images) >= least]
    if len(able) < LEAST_PEOPLE:
        raise ValueError(
            f"data {row.data}: {len(able)} of {len(people)} public people have {least} images or "
            f"more (min_images); the judge {row.method} needs {LEAST_PEOPLE} of them"
        )
    return able


def _held_out(count: int, rt: Runtime) -> frozenset[int]:
    order = torch.randperm(count, generator=rt.generator("held out")).tolist()
    return frozenset(order[: max(2, round(_HELD_OUT * count))])


def _faces(row: TrainedJudgeRow, judge: Judge, images: Tensor, people: Sequence[Person]) -> Faces:
    """Their images, person after person, and what a reader is to read off them."""
    rows = torch.tensor([index for person in people for index in person.images])
    counts = torch.tensor([len(person.images) for person in people])
    opened = judges.Opened(judge, row.method, judge.image_size, None)
    known = judges.truth_of(opened, Path(row.truth), people)
    if known is None and isinstance(judge, Reader):
        raise ValueError(f"judge {row.method}: truth: needs a table, is {row.truth}")
    return Faces(images[rows], counts, torch.zeros(len(people), 0) if known is None else known)


def _whom(row: TrainedJudgeRow, people: Sequence[Person]) -> LearntFromPublic:
    return LearntFromPublic(
        data=row.data,
        people=len(people),
        images=sum(len(person.images) for person in people),
        identities=tuple(sorted(p.identity for p in people if p.identity is not None)),
    )
