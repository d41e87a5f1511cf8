"""The classifiers of the study of real people, and what they start from."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from typing import NamedTuple

import torch

from gpu.paces import train_within
from gpu.results import Row, row
from gpu.subjects import Subjects, rate
from trapmid import wiring
from trapmid.config import params
from trapmid.config.study import ClassifierTraining
from trapmid.metrics import accuracy, features
from trapmid.training.classifier import Splits
from trapmid.training.fit import Labelled
from trapmid.types import Target


def strangers(world: Subjects, role: str, seconds: float) -> Iterator[Row]:
    """The start of the targets or of the evaluator: it learns to tell public people apart.

    With the control's augmentation.
    """
    faces = world.faces
    names, counts = faces.people.unique(return_counts=True)
    frequent = names[counts >= world.sizes.seldom]
    chosen = torch.isin(faces.people, frequent)
    labels = torch.searchsorted(frequent, faces.people[chosen])
    known = Labelled(faces.public[chosen], labels)
    splits = _splits(known, Labelled(known.images[:8], labels[:8]))
    arch = world.sizes.evaluator if role == "evaluator" else world.sizes.target
    who = _Learner(f"{role}-start", "evaluators", "evaluator", arch, "")
    yield from _learn(world, who, splits, seconds)


def evaluator(world: Subjects, seconds: float) -> Iterator[Row]:
    arch = world.sizes.evaluator
    who = _Learner("evaluator", "evaluators", "evaluator", arch, "evaluator-start")
    yield from _learn(world, who, _private(world), seconds)


def target(world: Subjects, name: str, seconds: float) -> Iterator[Row]:
    who = _Learner(name, "targets", f"{name}-0", world.sizes.target, "target-start")
    yield from _learn(world, who, _private(world), seconds)


class _Learner(NamedTuple):
    """Which classifier, and by which row of the profile."""

    name: str
    section: str
    row: str
    arch: str
    start: str  # the phase whose weights it begins with; "": random ones


def _learn(world: Subjects, who: _Learner, splits: Splits, seconds: float) -> Iterator[Row]:
    known = world.study[who.section][who.row]
    defense = wiring.defense(known["method"], world.study[known["block"]], known["block"])
    first = world.room.load(who.start)["state"] if who.start else None

    @functools.cache  # VGG16 takes a second to draw its weights
    def drawn(outputs: int) -> Target:
        made = wiring.target(who.arch)(outputs, world.faces.size)
        # Trap-MID's discriminator, of one output, begins at random: it is to learn no faces.
        if first is not None and outputs == splits.num_classes:
            made.start_from(first)
        return made

    def network(outputs: int) -> Target:
        return copy.deepcopy(drawn(outputs))

    rt, plan = world.runtime("auto"), _plan(world, who.section.removesuffix("s"))
    trained, kept = train_within(seconds, defense, network, splits, plan, rt)
    world.keep(who.name, trained.model)
    yield row("epochs", kept.epochs, "", images=len(splits.train), batch_size=kept.batch_size)
    if who.start:
        logits = features.describe(trained.model, splits.test.images, batch_size=256, rt=rt).logits
        hit = accuracy.hits(logits, splits.test.labels)
        yield rate("test accuracy", hit, splits.test.labels, arch=who.arch)
    if trained.fitted.trapdoor_success is not None:
        yield row("trapdoor success", trained.fitted.trapdoor_success, "share")


def _private(world: Subjects) -> Splits:
    faces = world.faces
    train = Labelled(faces.train_images, faces.train_labels)
    return _splits(train, Labelled(faces.test_images, faces.test_labels))


def _splits(train: Labelled, test: Labelled) -> Splits:
    empty = Labelled(test.images[:0], test.labels[:0])
    return Splits(train, empty, test, int(train.labels.max()) + 1)


def _plan(world: Subjects, name: str) -> ClassifierTraining:
    few = {"epochs": world.sizes.epochs, "batch_size": world.sizes.batch, "milestones": []}
    block = world.study["classifier_training"][name] | few
    return params.build(ClassifierTraining, block, f"classifier_training.{name}")
