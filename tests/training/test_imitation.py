"""A start that learns what a recogniser says: what it learns, its share, and its resumption."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from torch import Tensor

from toy import (
    PIXELS,
    Interrupted,
    Memory,
    ToyTarget,
    generator,
    plan,
    runtime,
    same_state,
    seeded,
    snapshot,
    uniform,
)
from trapmid.artifacts.scratch import scratch
from trapmid.config.study import ClassifierTraining
from trapmid.training import imitation
from trapmid.training.imitation import Faces, imitate
from trapmid.types import Checkpointer, DivergedError, Output, Stateful

NUMBERS = 3
PLAN = plan(epochs=30, batch_size=50, lr=0.05, weight_decay=0.0, milestones=(20,), flip=False)


class Teacher:
    """Says three sums of an image's pixels, which the least network can learn; counts questions."""

    def __init__(self) -> None:
        self.asked = 0
        self.weights = uniform(PIXELS, NUMBERS, seed=5) - 0.5

    def __call__(self, images: Tensor) -> Tensor:
        self.asked += len(images)
        return 7 + 0.3 * images.flatten(1) @ self.weights


def pixels(n: int, seed: int) -> Tensor:
    return torch.randint(0, 256, (n, 3, 8, 8), dtype=torch.uint8, generator=generator(seed))


def faces(held_out: int = 100) -> Faces:
    return Faces(pixels(1000, 1), pixels(held_out, 2))


def noisy(images: Tensor) -> Tensor:
    return images + 0.01 * torch.randn_like(images)


def learn(
    checkpointer: Checkpointer,
    some: Faces | None = None,
    augmentation: Callable[[Tensor], Tensor] | None = None,
    teacher: Callable[[Tensor], Tensor] | None = None,
    how: ClassifierTraining = PLAN,
) -> tuple[ToyTarget, float | None]:
    student: ToyTarget = seeded(ToyTarget, NUMBERS)
    some, teacher = some or faces(), teacher or Teacher()
    torch.rand(3)  # what ran before does not matter
    found = imitate(student, some, teacher, augmentation, how, runtime(), checkpointer)
    return student, found


def test_it_learns_what_the_teacher_says_up_to_mean_and_unit() -> None:
    memory, teacher = Memory(), Teacher()
    student, explained = learn(memory, teacher=teacher)
    assert teacher.asked == 1100  # once about every image, however many epochs
    assert not student.training
    first, last = memory.rows[0], memory.rows[-1]
    assert [row["step"] for row in memory.rows] == [*map(float, range(1, 31))]
    assert last["loss"] < 0.05 < 0.4 < first["loss"]
    assert last["explained"] == explained and explained is not None and explained > 0.9
    some = faces()
    with torch.no_grad():
        said = student(some.held_out.float() / 255).logits
        answers, learnt = (Teacher()(part.float() / 255) for part in (some.held_out, some.train))
    unit = float(np.sqrt(learnt.numpy().var(axis=0).mean()))
    wanted = (answers.numpy() - learnt.numpy().mean(axis=0)) / unit
    by_sklearn = r2_score(wanted, said.numpy(), multioutput="variance_weighted")
    assert explained == pytest.approx(by_sklearn, abs=1e-5)


def test_the_teacher_sees_the_plain_image_and_the_student_the_augmented_one() -> None:
    """A student of white images alone learns the mean answer: loss 1, nothing explained."""
    memory = Memory()
    _, explained = learn(memory, augmentation=torch.ones_like)
    assert memory.rows[-1]["loss"] == pytest.approx(1, abs=0.05)
    assert explained is not None and explained < 0.05


class Diary(ToyTarget):
    """Keeps what it was shown in training mode."""

    def __init__(self) -> None:
        super().__init__(NUMBERS)
        self.shown: list[Tensor] = []

    def forward(self, images: Tensor) -> Output:
        if self.training:
            self.shown.append(images.clone())
        return super().forward(images)


def test_an_epoch_shows_every_image_once_and_drops_the_partial_batch() -> None:
    """In an order and with flips of its own, in training mode; the recogniser saw them plain."""
    some = Faces(pixels(25, 1), pixels(3, 2))
    plain = some.train.float() / 255
    asked: list[Tensor] = []

    def teacher(images: Tensor) -> Tensor:
        asked.append(images)
        return Teacher()(images)

    student: Diary = seeded(Diary)
    how = plan(epochs=12, batch_size=8, milestones=(), flip=True)
    imitate(student, some, teacher, None, how, runtime(), Memory())
    assert torch.equal(torch.cat(asked), torch.cat([plain, some.held_out.float() / 255]))
    assert [len(batch) for batch in student.shown] == [8] * 3 * 12
    found = {tuple(image.flatten().tolist()): i for i, image in enumerate(plain)}
    found |= {tuple(image.flatten().tolist()): i + 25 for i, image in enumerate(plain.flip(-1))}
    rows = torch.tensor([found[tuple(x.flatten().tolist())] for b in student.shown for x in b])
    epochs = [row.tolist() for row in rows.view(12, 24)]
    assert all(len({row % 25 for row in epoch}) == 24 for epoch in epochs)
    assert len({tuple(row % 25 for row in epoch) for epoch in epochs}) == 12
    assert len({frozenset(row % 25 for row in epoch if row >= 25) for epoch in epochs}) == 12
    assert (rows >= 25).float().mean() == pytest.approx(0.5, abs=0.15)  # five deviations


@pytest.mark.parametrize("batch_size", [40, 500])
def test_the_loss_is_of_answers_in_units_of_the_learnt_ones(batch_size: int) -> None:
    """One step over all images; those held out, all white, change neither mean nor unit."""
    some, memory = Faces(pixels(40, 1), torch.full((9, 3, 8, 8), 255, dtype=torch.uint8)), Memory()
    how = plan(epochs=1, batch_size=batch_size, lr=1e-30, flip=False)
    learn(memory, some, how=how)
    answers = Teacher()(some.train.float() / 255).numpy()
    unit = np.sqrt(answers.var(axis=0).mean())
    said = seeded(ToyTarget, NUMBERS).train()(some.train.float() / 255).logits.detach().numpy()
    loss = np.mean((said - (answers - answers.mean(axis=0)) / unit) ** 2)
    assert memory.rows[0]["loss"] == pytest.approx(loss, rel=1e-4)


class Watch(Memory):
    """Notes the learning rate of every epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.rates: list[float] = []

    def restore(self, parts: Mapping[str, Stateful]) -> int:
        self._optimizer = parts["optimizer"]
        return super().restore(parts)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        assert isinstance(self._optimizer, torch.optim.SGD)
        self.rates += [group["lr"] for group in self._optimizer.param_groups]


def test_the_learning_rate_follows_the_epochs_and_not_the_questions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imitation, "_AT_ONCE", 10)
    watch = Watch()
    how = plan(epochs=5, batch_size=20, lr=0.5, decay=0.1, milestones=(1, 3))
    learn(watch, Faces(pixels(40, 1), pixels(5, 2)), how=how)
    assert watch.rates == pytest.approx([0.5, 0.05, 0.05, 0.005, 0.005])


def test_nothing_held_out_says_nothing() -> None:
    memory = Memory()
    assert learn(memory, faces(held_out=0))[1] is None
    assert set(memory.rows[-1]) == {"step", "loss"}


@pytest.mark.parametrize("at", [1, 17])
def test_a_resumed_one_equals_an_undisturbed_one_and_asks_no_more(tmp_path: Path, at: int) -> None:
    with scratch(tmp_path / "whole", "toy", "imitation") as checkpointer:
        whole = snapshot(learn(checkpointer, augmentation=noisy)[0])
        curve = checkpointer.history()
    teacher = Teacher()
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path / "cut", "toy", "imitation") as first:
        learn(Interrupted(first, at), augmentation=noisy, teacher=teacher)
    with scratch(tmp_path / "cut", "toy", "imitation") as second:
        resumed = snapshot(learn(second, augmentation=noisy, teacher=teacher)[0])
        assert second.history() == curve
    assert same_state(resumed, whole)
    assert teacher.asked == 1100


@pytest.mark.parametrize("keep_every", [1, 5])
def test_questions_that_were_cut_off_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep_every: int
) -> None:
    """They are saved after every chunk, as they are dear, whatever is said of the epochs."""
    monkeypatch.setattr(imitation, "_AT_ONCE", 100)
    how = replace(PLAN, keep_every=keep_every, epochs=6, milestones=(4,))
    asked: list[int] = []

    def tired(images: Tensor) -> Tensor:
        asked.append(len(images))
        if len(asked) == 4:
            raise KeyboardInterrupt
        return Teacher()(images)

    with pytest.raises(KeyboardInterrupt), scratch(tmp_path, "toy", "imitation") as first:
        learn(first, teacher=tired, how=how)
    with scratch(tmp_path, "toy", "imitation") as second:
        resumed = learn(second, teacher=tired, how=how)[0]
    assert sum(asked) == 1100 + 100  # the chunk in which it was cut off, twice
    assert same_state(snapshot(resumed), snapshot(learn(Memory(), how=how)[0]))


def test_a_loss_that_is_not_finite_stops_it() -> None:
    with pytest.raises(DivergedError, match=r"epoch 1 of 30: loss is nan"):
        learn(Memory(), teacher=lambda images: Teacher()(images) * torch.nan)
