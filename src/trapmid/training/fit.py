"""The one loop that trains classifiers, whatever defends them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from trapmid import augment
from trapmid.config.study import ClassifierTraining
from trapmid.metrics.accuracy import balanced_labels
from trapmid.runtime import Runtime, eval_mode
from trapmid.types import (
    Checkpointer,
    Objective,
    Progress,
    Saving,
    Stateful,
    Target,
    Trapdoor,
    check_finite,
)


@dataclass(frozen=True)
class Labelled:
    """A data set that already is where it is used: images (N, 3, S, S) uint8, labels (N,) int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Labelled:
        return Labelled(self.images.to(device), self.labels.to(device))


def to_float(images: Tensor) -> Tensor:
    """uint8 images as float32 in [0, 1]."""
    return images.to(torch.float32) / 255


def make_optimizer(
    plan: ClassifierTraining, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """The optimiser that `plan` names, for the network and for a discriminator beside it."""
    trained = [p for p in parameters if p.requires_grad]
    if plan.optimizer == "adam":
        return torch.optim.Adam(trained, lr=plan.lr, weight_decay=plan.weight_decay)
    return torch.optim.SGD(
        trained, lr=plan.lr, momentum=plan.momentum, weight_decay=plan.weight_decay
    )


def decayed(lr: float, decay: float, milestones: Sequence[int], epoch: int) -> float:
    """The learning rate of a 0-based epoch: `lr` times `decay` for every milestone so far."""
    return lr * decay ** sum(epoch >= m for m in milestones)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Gives every group of parameters the same learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr


@torch.no_grad()
def accuracy(
    model: Target,
    data: Labelled,
    trapdoor: Trapdoor | None = None,
    targets: Tensor | None = None,
    batch_size: int = 512,
) -> float:
    """The share of images, in [0, 1], that `model` gives their label.

    With a trapdoor: the share of poisoned images that it gives the label `targets` (N,) of their
    trigger, i.e. trapdoor success.
    """
    labels = data.labels if targets is None else targets.to(data.labels.device)
    hits = torch.zeros((), dtype=torch.int64, device=data.labels.device)
    with eval_mode(model):
        for start in range(0, len(data), batch_size):
            part = slice(start, start + batch_size)
            images = to_float(data.images[part])
            if trapdoor is not None:
                images = trapdoor(images, labels[part])
            hits += (model(images).logits.argmax(dim=1) == labels[part]).sum()
    return hits.item() / len(data)


class Best:
    """The weights of the epoch to keep, and which epoch it was."""

    def __init__(self) -> None:
        self.score = -1.0
        self.epoch = -1
        self.weights: dict[str, Tensor] = {}
        self.triggers: Tensor | None = None

    def offer(
        self, score: float, epoch: int, model: nn.Module, trapdoor: Trapdoor | None, *, strict: bool
    ) -> None:
        """Keeps the weights if `score` is the highest so far; `strict`: an equal one is not."""
        if score < self.score or (strict and score == self.score):
            return
        self.score, self.epoch = score, epoch
        self.weights = {name: value.clone() for name, value in model.state_dict().items()}
        self.triggers = None if trapdoor is None else trapdoor.triggers.clone()

    def copy_to(self, model: nn.Module, trapdoor: Trapdoor | None) -> None:
        """Puts the kept weights into the network, and their triggers into its trapdoor."""
        model.load_state_dict(self.weights)
        if trapdoor is not None and self.triggers is not None:
            trapdoor.triggers.copy_(self.triggers)

    def state_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)


class _Optimizers:
    """Several optimisers as one thing to save."""

    def __init__(self, optimizers: list[torch.optim.Optimizer]) -> None:
        self.members = optimizers

    def state_dict(self) -> dict[str, Any]:
        return {str(i): member.state_dict() for i, member in enumerate(self.members)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for i, member in enumerate(self.members):
            member.load_state_dict(state_dict[str(i)])

    def set_lr(self, lr: float) -> None:
        for member in self.members:
            set_lr(member, lr)


@dataclass(frozen=True)
class _Examination:
    """What every epoch is scored on."""

    val: Labelled  # empty: there is no validation split
    test: Labelled
    poison: Tensor  # (len(test),) int64, the labels of the triggers on the test images

    def scores(self, model: Target, trapdoor: Trapdoor | None) -> dict[str, float]:
        """Accuracies, and the success of the trapdoor; what there is nothing of is left out."""
        scores = {"val_accuracy": accuracy(model, self.val)} if len(self.val) else {}
        scores["test_accuracy"] = accuracy(model, self.test)
        if trapdoor is not None:
            scores["trapdoor_success"] = accuracy(model, self.test, trapdoor, self.poison)
        return scores


@dataclass(frozen=True)
class Fitted:
    """What a training leaves: the kept epoch is already loaded into the model."""

    epoch: int  # counted from 1; 0: nothing was trained
    val_accuracy: float | None  # None: there is no validation split
    test_accuracy: float
    trapdoor_success: float | None
    select: Literal["val", "test", "last"]


def fit(
    model: Target,
    objective: Objective,
    train: Labelled,
    val: Labelled,
    test: Labelled,
    plan: ClassifierTraining,
    rt: Runtime,
    checkpointer: Checkpointer,
) -> Fitted:
    """Trains `model` in place under `objective`; resumes from `checkpointer`.

    Every epoch draws from a random stream of its own, so a resumed training equals an undisturbed
    one bit for bit on the CPU. The objective says what an epoch's batches are.

    Args:
        val: may be empty where `plan.select` is not `val`.

    Raises:
        DivergedError: an epoch's mean loss is not finite.
    """
    train, val, test = (data.to(rt.device) for data in (train, val, test))
    main = objective.prepare(model, make_optimizer(plan, model.parameters()))
    optimizers = _Optimizers([main, *objective.optimizers])
    best = Best()
    poison = balanced_labels(len(test), model.num_classes, rt.generator("poison", "test"))
    examination = _Examination(val, test, poison)
    parts: dict[str, Stateful] = {"model": model, "objective": objective, "best": best}
    parts["optimizers"] = optimizers
    for epoch in Saving(checkpointer, plan.keep_every).steps(parts, plan.epochs):
        optimizers.set_lr(decayed(plan.lr, plan.decay, plan.milestones, epoch))
        with rt.seeded("fit", epoch):
            means = _epoch(model, objective, main, train, plan, epoch, rt)
        check_finite(means, f"epoch {epoch + 1} of {plan.epochs}")
        with rt.seeded("scores", epoch):  # a stochastic network draws noise here, too
            scores = examination.scores(model, objective.trapdoor)
        checkpointer.log({**means, **scores}, epoch + 1)
        score = float(epoch) if plan.select == "last" else scores[f"{plan.select}_accuracy"]
        # The official code keeps the first of equal test scores. A small validation split has many
        # equal scores, and the first would be an unfinished trapdoor: there the last one is kept.
        best.offer(score, epoch, model, objective.trapdoor, strict=plan.select == "test")
    return _kept(best, model, objective.trapdoor, examination, plan, rt)


def take(
    model: Target,
    trapdoor: Trapdoor | None,
    val: Labelled,
    test: Labelled,
    rt: Runtime,
    checkpointer: Checkpointer,
) -> Fitted:
    """Scores a finished `model` as `fit` scores the epoch that it keeps; its epoch is 0."""
    poison = balanced_labels(len(test), model.num_classes, rt.generator("poison", "test"))
    examination = _Examination(val.to(rt.device), test.to(rt.device), poison)
    with rt.seeded("scores", 0):
        scores = examination.scores(model, trapdoor)
    checkpointer.log(scores, 0)
    return _fitted(0, scores, "last")


def _kept(
    best: Best,
    model: Target,
    trapdoor: Trapdoor | None,
    examination: _Examination,
    plan: ClassifierTraining,
    rt: Runtime,
) -> Fitted:
    """Loads the kept epoch and scores it again, under the stream that scored it."""
    best.copy_to(model, trapdoor)
    with rt.seeded("scores", best.epoch):
        scores = examination.scores(model, trapdoor)
    return _fitted(best.epoch + 1, scores, plan.select)


def _fitted(
    epoch: int, scores: Mapping[str, float], select: Literal["val", "test", "last"]
) -> Fitted:
    return Fitted(
        epoch=epoch,
        val_accuracy=scores.get("val_accuracy"),
        test_accuracy=scores["test_accuracy"],
        trapdoor_success=scores.get("trapdoor_success"),
        select=select,
    )


def _epoch(
    model: Target,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    train: Labelled,
    plan: ClassifierTraining,
    epoch: int,
    rt: Runtime,
) -> dict[str, float]:
    """One pass; returns the means of every part of the loss over the steps that have it."""
    model.train()
    batches = objective.batches(train.labels, plan.batch_size)
    steps = len(batches)
    sums: dict[str, Tensor] = {}
    counts: Counter[str] = Counter()
    for step, chosen in enumerate(batches):
        index = chosen.to(rt.device)
        images = to_float(train.images[index])
        if plan.flip:
            images = augment.flip(images, (torch.rand(len(index)) < 0.5).to(rt.device))
        loss = objective(
            model, images, train.labels[index], Progress(epoch, plan.epochs, step, steps)
        )
        optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        optimizer.step()
        for name, value in {"loss": loss.total.detach(), **loss.parts}.items():
            sums[name] = sums.get(name, torch.zeros_like(value)) + value
            counts[name] += 1
    return {name: value.item() / counts[name] for name, value in sums.items()}
