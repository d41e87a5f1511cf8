"""How long a unit takes on this machine: a few of its steps are made, on random images.

The smallest batch comes first; the whole batch only where it takes no more than seconds, else the
time grows with the images, as it does where a processor has enough to do.
"""

from __future__ import annotations

import functools
import json
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from trapmid import wiring
from trapmid.artifacts.initial import PROGRAM
from trapmid.config.study import ClassifierTraining
from trapmid.metrics import features
from trapmid.planning.clock import Clock, Now, synchronize
from trapmid.planning.macs import Macs
from trapmid.planning.memory import megabytes
from trapmid.planning.models import (
    grouped,
    judge_of,
    loaded_prior,
    network,
    placed,
    random_images,
)
from trapmid.planning.units import LOOKED_UP, Unit
from trapmid.runtime import Runtime, choose_precision, eval_mode
from trapmid.training import classifier, judging
from trapmid.training.classifier import Splits
from trapmid.training.fit import Labelled
from trapmid.training.judging import Faces
from trapmid.types import NOTHING, Attack, Learns, Reader, Saving, SideInformation, Target, Task

_LEAST = 8
_LONGEST = 3.0  # seconds of one measurement: a larger batch is not tried
_STEPS = 3  # of a training, at least
_NEVER = 10**9


class Cost(NamedTuple):
    """What one unit takes."""

    seconds: float
    megabytes: float  # of tensors while it runs, beside the process itself
    macs: float | None = None  # multiply-adds, see `macs.Macs`; None: nobody counted any


@functools.cache
def is_buildable(arch: str, classes: int, size: int) -> bool:
    """Whether the network can be made here; "", no network, can.

    A program from elsewhere is known to its file alone, and some networks need a package that is
    optional.
    """
    if arch == PROGRAM:
        return False
    try:
        with torch.device("meta"):
            _ = wiring.target(arch)(classes, size) if arch else None
    except (ImportError, ValueError):
        return False
    return True


def is_measurable(unit: Unit) -> bool:
    """Whether what it is about can be made here: its network, or its judge."""
    if unit.kind in ("judge", "learn") and not _has_judge(unit.method, unit.image_size):
        return False
    return is_buildable(unit.arch, unit.classes, unit.image_size)


@functools.cache
def _has_judge(method: str, size: int) -> bool:
    try:
        with torch.device("meta"):
            wiring.judge(method)(size)
    except (ImportError, ValueError):
        return False
    return True


def cost(unit: Unit, device: torch.device, now: Now = time.perf_counter) -> Cost:
    """Measures a unit on `device`, in the precision that it has there."""
    precision = choose_precision(unit.precision, device)
    rt = Runtime(device=device, seed=0, precision=precision)
    measure = {
        "train": _train,
        "prior": _prior,
        "search": _search,
        "imitate": _imitate,
        "ask": _ask,
        "query": _query,
        "judge": _judge,
        "learn": _learn,
    }[unit.kind]
    least = unit.batch if _is_whole(unit) else _LEAST
    with rt.seeded("plan"):
        seconds = _grown(partial(measure, unit, rt, now), unit.batch, least)
    with rt.seeded("plan"):
        macs = _counted(partial(measure, unit, rt), unit.batch, least)
    part = unit.batch if unit.kind in ("search", "ask", "query", "judge") else 1
    return Cost(seconds / part, megabytes(unit, rt), macs / part or None)


def _is_whole(unit: Unit) -> bool:
    """Whether a step has all of its batch or none: people of several images, as BiDO's."""
    bido = unit.kind == "train" and "identities_per_batch" in json.loads(unit.block)
    return bido or unit.kind == "learn"


def _grown(run: Callable[[int], float], batch: int, least: int = _LEAST) -> float:
    """Seconds of a step of the whole batch; `least`: images that are tried first."""
    size = min(batch, least)
    run(size)  # loads kernels
    seconds = run(size)
    while size < batch:
        larger = min(batch, 4 * size)
        if seconds * larger / size > _LONGEST:
            break
        size, seconds = larger, run(larger)
    return seconds * batch / size


def _counted(run: Callable[[Now, int], float], batch: int, least: int) -> float:
    """Multiply-adds of a step of the whole batch, from those of a small one.

    A clock that shows how much was computed until now, instead of the time, has what is timed
    counted.
    """
    size = min(batch, least)
    with Macs() as done:
        return run(lambda: done.total, size) * batch / size


def _train(unit: Unit, rt: Runtime, now: Now, batch: int) -> float:
    """Of the second of two epochs, each of some steps; scores are counted by themselves.

    A search for triggers that is not due at every step has whole rounds in each epoch. Of a network
    that looks answers up, images have been seen before: few of them, again and again.
    """
    block = json.loads(unit.block)
    every: int = block.get("search_every", 1)
    steps = every * math.ceil(_STEPS / every)
    defense = wiring.defense(unit.method, block, "plan")
    images = random_images(steps * batch, unit.image_size)
    looked_up = unit.arch in LOOKED_UP
    if looked_up:
        images = images[torch.arange(len(images)) % _LEAST]
    # All people of BiDO's batch in each of its steps; with more, some would have no batch left
    people = min(unit.classes, block.get("identities_per_batch") or max(2, steps * batch // 4))
    train = Labelled(images, torch.arange(len(images)) % people)
    test = Labelled(train.images[:1], train.labels[:1])
    splits = Splits(train, Labelled(images[:0], train.labels[:0]), test, unit.classes)
    clock, plan = Clock(rt.device, 1, now), _plan(batch, rt, flip=not looked_up)
    classifier.train(defense, partial(network, unit), splits, plan, rt, clock)
    return clock.seconds / steps


def _plan(batch: int, rt: Runtime, *, flip: bool) -> ClassifierTraining:
    return ClassifierTraining(
        epochs=2,
        batch_size=batch,
        optimizer="sgd",
        lr=1e-4,
        momentum=0.9,
        weight_decay=1e-4,
        milestones=(),
        decay=0.1,
        flip=flip,
        select="last",
        precision=cast(Any, rt.precision),
        keep_every=_NEVER,
    )


def _prior(unit: Unit, rt: Runtime, now: Now, batch: int) -> float:
    """After one round of the critic's steps, another."""
    block = json.loads(unit.block)
    turns = 1 if unit.method in ("plgmi", "style") else block["critic_steps"]
    changes = {"steps": 2 * turns, "batch_size": batch}
    changes |= {"top_n": 1} if "top_n" in block else {}
    training = wiring.prior_training(unit.method, grouped(block | changes, batch))
    prior = rt.place(training.make(unit.image_size, unit.classes))
    target = placed(unit, rt) if unit.arch else None
    clock = Clock(rt.device, turns, now)
    public = random_images(2 * batch, unit.image_size)
    training.fit(prior, public, target, NOTHING, rt, clock)
    return clock.seconds / turns


def _search(unit: Unit, rt: Runtime, now: Now, batch: int) -> float:
    """After one step two others; of a search in layers as many in each."""
    steps, warm = 2, 1
    block = json.loads(unit.block) | {"steps": steps + warm}
    if "layers" in block:
        block["layers"] = [one | {"steps": steps} for one in block["layers"]]
        steps *= 1 + len(block["layers"])
    attack = cast(Attack, wiring.attack(unit.method, block))
    target, prior = placed(unit, rt), loaded_prior(unit, rt)
    clock = Clock(rt.device, warm, now)
    index = torch.arange(batch, device=rt.device)
    known = _known(unit, target, rt) if unit.method == "lomma" else NOTHING
    task = Task(
        labels=index % unit.classes,
        draws=index // unit.classes,
        side_information=known,
        saving=Saving(clock, _NEVER),
    )
    attack.invert(target, prior, task, rt)
    return clock.seconds / steps


def _known(unit: Unit, target: Target, rt: Runtime) -> SideInformation:
    """Of LOMMA's students one stands for all three: the target's own network."""
    with torch.no_grad(), eval_mode(target):
        images = random_images(2, unit.image_size).to(rt.device).float() / 255
        mean = target(images).features.mean(dim=0)
    return SideInformation(students=placed(unit, rt), feature_mean=mean)


def _imitate(unit: Unit, rt: Runtime, now: Now, batch: int) -> float:
    """The second of two epochs of three steps."""
    steps = 3
    block = json.loads(unit.block)
    changes = {"epochs": 2, "batch_size": batch, "milestones": []}
    training = cast(Any, wiring.surrogate(unit.method, block | changes))
    clock = Clock(rt.device, 1, now)
    student = rt.place(network(unit, unit.classes))
    images = random_images(steps * batch, unit.image_size)
    training.learn(student, images, torch.randn(len(images), unit.classes), rt, clock)
    return clock.seconds / steps


def _ask(unit: Unit, rt: Runtime, now: Now, batch: int) -> float:
    model = placed(unit, rt)
    ask = partial(features.describe, model, batch_size=batch, rt=rt)
    return _answers(ask, unit, rt, now, batch)


def _answers(
    ask: Callable[[Tensor], object], unit: Unit, rt: Runtime, now: Now, batch: int
) -> float:
    """Seconds of a batch, after two other images: what is looked up is no answer."""
    warm, images = (random_images(count, unit.image_size) for count in (2, batch))
    ask(warm)
    begun = now()
    ask(images)
    synchronize(rt.device)
    return now() - begun


def _query(unit: Unit, rt: Runtime, now: Now, batch: int) -> float:
    """The images of latents, and what the target says of them."""
    target, prior = placed(unit, rt), loaded_prior(unit, rt)
    z = torch.randn(batch, prior.latent_dim, device=rt.device)
    labels = torch.arange(batch, device=rt.device) % unit.classes
    with torch.no_grad():
        begun = now()
        target(prior(z, labels)).logits.argmax(dim=1)
        synchronize(rt.device)
    return now() - begun


def _judge(unit: Unit, rt: Runtime, now: Now, batch: int) -> float:
    judge = judge_of(unit, rt).eval()
    ask = partial(features.vectors, judge, batch_size=batch, rt=rt)
    return _answers(ask, unit, rt, now, batch)


def _learn(unit: Unit, rt: Runtime, now: Now, _batch: int) -> float:
    """After one step of a judge's training two others."""
    steps, warm = 2, 1
    block = json.loads(unit.block) | {"steps": steps + warm}
    plan, judge = wiring.judge_training(unit.method, block), judge_of(unit, rt)
    read = len(judge.names) if isinstance(judge, Reader) else 0
    assert isinstance(judge, Learns)  # `wiring.judge_training` refuses others
    images = random_images(plan.people * plan.images_each, unit.image_size)
    counts = torch.full((plan.people,), plan.images_each)
    faces = Faces(images, counts, torch.rand(plan.people, read))
    clock = Clock(rt.device, warm, now)
    judging.fit(judge, judge.loss, faces, plan, rt, Saving(clock, _NEVER))
    return clock.seconds / steps
