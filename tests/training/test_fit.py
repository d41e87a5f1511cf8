"""The loop that trains classifiers: its schedule, its choice of an epoch, and its resumption."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toy import (
    BLOCKS,
    TRAPMID,
    Interrupted,
    Memory,
    ToyNet,
    ToyTarget,
    faces,
    plan,
    runtime,
    same_state,
    seeded,
    snapshot,
)
from trapmid import wiring
from trapmid.artifacts.scratch import scratch
from trapmid.config.study import ClassifierTraining
from trapmid.training import fit
from trapmid.training.fit import Fitted, Labelled
from trapmid.training.trapdoors import Blend
from trapmid.types import DivergedError, Loss, Objective, Progress, Setting, Target

CLASSES = 4
FEATURES = {"feature_discriminator": True, "feature_model_loss": True}
DEFENSES = BLOCKS | {"trapmid, features": ("trapmid", TRAPMID | FEATURES)}


def data() -> tuple[Labelled, Labelled, Labelled]:
    return faces(10, CLASSES, 0), faces(4, CLASSES, 1), faces(5, CLASSES, 2)


def new_network(outputs: int) -> ToyTarget:
    network: ToyTarget = seeded(ToyTarget, outputs, seed=outputs)
    return network


def defend(name: str, how: ClassifierTraining) -> tuple[Target, Objective]:
    """An adapted network and what trains it."""

    def new_optimizer(parameters: Any) -> torch.optim.Optimizer:
        return fit.make_optimizer(how, parameters)

    setting = Setting(
        image_shape=(3, 8, 8),
        num_classes=CLASSES,
        new_network=lambda outputs: seeded(ToyNet, outputs, seed=outputs),
        new_optimizer=new_optimizer,
        rt=runtime(),
    )
    method, block = DEFENSES[name]
    defense = wiring.defense(method, block, name)
    with runtime().seeded("adapt"):
        model = defense.adapt(seeded(ToyNet, CLASSES))
    return model, defense.objective(setting)


class CrossEntropy(Objective):
    """The plainest objective, with a diary."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Tensor, Tensor, Progress]] = []

    def forward(self, model: Target, images: Tensor, labels: Tensor, progress: Progress) -> Loss:
        self.seen.append((images, labels, progress))
        return Loss(F.cross_entropy(model(images).logits, labels), {})


def test_adam_is_torchs_own_with_the_rate_and_the_decay_of_the_plan() -> None:
    """Two steps against the formulas of Kingma and Ba, with an L2 penalty in the gradient."""
    weight = torch.nn.Parameter(torch.tensor([0.5, -2.0], dtype=torch.float64))
    optimizer = fit.make_optimizer(plan(optimizer="adam", lr=0.1, weight_decay=0.01), [weight])
    expected = weight.detach().clone()
    m = v = torch.zeros(2, dtype=torch.float64)
    for step in (1, 2):
        optimizer.zero_grad()
        (weight**3).sum().backward()
        optimizer.step()
        gradient = 3 * expected**2 + 0.01 * expected
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        unbiased = m / (1 - 0.9**step), v / (1 - 0.999**step)
        expected = expected - 0.1 * unbiased[0] / (unbiased[1].sqrt() + 1e-8)
    assert torch.allclose(weight, expected, rtol=1e-9)


# --- resumption ---------------------------------------------------------------------------------


def train(
    root: Path, name: str, how: ClassifierTraining, die_at: int | None = None
) -> tuple[Fitted, dict[str, Tensor], dict[str, Tensor], bytes]:
    model, target = defend(name, how)
    with scratch(root, "toy", name) as checkpointer:
        checkpointer = checkpointer if die_at is None else Interrupted(checkpointer, die_at)
        torch.rand(3)  # what ran before does not matter
        fitted = fit.fit(model, target, *data(), how, runtime(), checkpointer)
        return fitted, snapshot(model), snapshot(target), checkpointer.history()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in ("none", "trapmid") else pytest.mark.slow) for n in DEFENSES],
)
def test_a_resumed_training_equals_an_undisturbed_one_bit_for_bit(
    tmp_path: Path, name: str, optimizer: str
) -> None:
    how = plan(epochs=6, keep_every=2, milestones=(3, 5), optimizer=optimizer, select="test")
    whole = train(tmp_path / "whole", name, how)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", name, how, die_at=4)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", name, how, die_at=6)
    resumed = train(tmp_path / "cut", name, how)
    assert resumed[0] == whole[0]
    assert same_state(resumed[1], whole[1])
    assert same_state(resumed[2], whole[2])
    assert resumed[3] == whole[3]
    lines = resumed[3].decode().splitlines()
    assert lines[0].startswith("step,loss,") and len(lines) == 7
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3", "4", "5", "6"]


def test_the_curve_of_trapmid_names_every_part(tmp_path: Path) -> None:
    header = (
        train(tmp_path, "trapmid, features", plan(epochs=1))[3].decode().splitlines()[0].split(",")
    )
    wanted = ["step", "loss", "main_loss", "trapdoor_loss", "train_accuracy"]
    wanted += ["train_trapdoor_success", "image_discriminator_loss", "feature_discriminator_loss"]
    assert header == [*wanted, "val_accuracy", "test_accuracy", "trapdoor_success"]


# --- divergence ---------------------------------------------------------------------------------


class Exploding(CrossEntropy):
    """Its loss is as it should be until epoch 3, of which one step's is not."""

    def __init__(self, value: float, part: bool) -> None:
        super().__init__()
        self.value, self.part = value, part

    def forward(self, model: Target, images: Tensor, labels: Tensor, progress: Progress) -> Loss:
        loss = super().forward(model, images, labels, progress).total
        now = progress.epoch == 2 and progress.step == 1
        added = torch.tensor(self.value if now else 0.0)
        return Loss(loss, {"part": added}) if self.part else Loss(loss + added, {})


@pytest.mark.parametrize("part", [False, True])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_loss_that_is_not_finite_stops_after_its_epoch(
    tmp_path: Path, value: float, part: bool
) -> None:
    objective, name = Exploding(value, part), "part" if part else "loss"
    words = rf"^targets toy-0: epoch 3 of 5: {name} is {value}: the training diverged$"
    with (
        pytest.raises(DivergedError, match=words),
        scratch(tmp_path, "targets toy-0") as checkpointer,
    ):
        fit.fit(new_network(CLASSES), objective, *data(), plan(epochs=5), runtime(), checkpointer)
    assert {seen[2].epoch for seen in objective.seen} == {0, 1, 2}
    assert [row["step"] for row in checkpointer.rows] == [1, 2]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_learning_rate_that_is_too_high_stops_the_training(optimizer: str) -> None:
    how = plan(epochs=5, lr=1e30, optimizer=optimizer)
    model, objective = new_network(CLASSES), CrossEntropy()
    with pytest.raises(DivergedError, match=r"^epoch [12] of 5: loss is (nan|inf)"):
        fit.fit(model, objective, *data(), how, runtime(), Memory())


class Sometimes(CrossEntropy):
    """A part of its loss is there at every second step alone, as a discriminator's may be."""

    def forward(self, model: Target, images: Tensor, labels: Tensor, progress: Progress) -> Loss:
        loss = super().forward(model, images, labels, progress).total
        parts = {} if progress.step % 2 else {"part": torch.tensor(1.0 + progress.epoch)}
        return Loss(loss, parts)


def test_a_curve_has_the_mean_of_the_steps_that_say_something() -> None:
    checkpointer, how = Memory(), plan(epochs=2, batch_size=8)
    fit.fit(new_network(CLASSES), Sometimes(), *data(), how, runtime(), checkpointer)
    assert [row["part"] for row in checkpointer.rows] == [1.0, 2.0]


# --- selection ----------------------------------------------------------------------------------


class Scripted(Objective):
    """Not a training: epoch e leaves the classifier that answers `answers[e]` to everything."""

    def __init__(self, answers: list[int]) -> None:
        super().__init__()
        self.answers = answers
        self.trapdoor = Blend(torch.zeros(CLASSES, 3, 8, 8), 0.5)

    def forward(self, model: Target, images: Tensor, labels: Tensor, progress: Progress) -> Loss:
        assert isinstance(model, ToyTarget) and self.trapdoor is not None
        with torch.no_grad():
            model.classifier.weight.zero_()
            model.classifier.bias.copy_(F.one_hot(torch.tensor(self.answers[progress.epoch]), 4))
        self.trapdoor.triggers.fill_(progress.epoch / 10)
        return Loss(0 * model(images).logits.sum(), {})


@pytest.mark.parametrize(
    ("select", "epoch"),
    # Counted from 1; of equal epochs the last is kept on val, the first on test, as officially.
    [("val", 4), ("test", 3), ("last", 6)],
)
def test_the_kept_epoch(select: str, epoch: int) -> None:
    answers = [3, 1, 2, 1, 2, 0]
    train, val, test = data()
    # Answer 1 is best on val, 2 on test; classes 0 and 3 do worse.
    val = Labelled(val.images[:8], torch.tensor([1, 1, 1, 1, 2, 2, 0, 3]))
    test = Labelled(test.images[:8], torch.tensor([2, 2, 2, 2, 1, 1, 0, 3]))
    model, scripted, checkpointer = new_network(CLASSES), Scripted(answers), Memory()
    how = plan(epochs=6, select=select, lr=1e-30, weight_decay=0.0)
    fitted = fit.fit(model, scripted, train, val, test, how, runtime(), checkpointer)
    answer = answers[epoch - 1]
    assert fitted.epoch == epoch and fitted.select == select
    assert fitted.val_accuracy == (val.labels == answer).float().mean()
    assert fitted.test_accuracy == (test.labels == answer).float().mean()
    assert fitted.trapdoor_success == pytest.approx(0.25)  # balanced targets, one answer
    assert model.classifier.bias.argmax() == answer
    assert scripted.trapdoor is not None
    assert torch.equal(scripted.trapdoor.triggers, torch.full((4, 3, 8, 8), (epoch - 1) / 10))
    assert [row["val_accuracy"] for row in checkpointer.rows] == [
        0.125,
        0.5,
        0.25,
        0.5,
        0.25,
        0.125,
    ]


@pytest.mark.parametrize(("select", "epoch"), [("test", 3), ("last", 6)])
def test_without_a_validation_split(select: str, epoch: int) -> None:
    train, _, test = data()
    none = Labelled(test.images[:0], test.labels[:0])
    test = Labelled(test.images[:8], torch.tensor([2, 2, 2, 2, 1, 1, 0, 3]))
    model, scripted, checkpointer = new_network(CLASSES), Scripted([3, 1, 2, 1, 2, 0]), Memory()
    how = plan(epochs=6, select=select, lr=1e-30, weight_decay=0.0)
    fitted = fit.fit(model, scripted, train, none, test, how, runtime(), checkpointer)
    assert (fitted.epoch, fitted.val_accuracy) == (epoch, None)
    assert [row["test_accuracy"] for row in checkpointer.rows] == [
        0.125,
        0.25,
        0.5,
        0.25,
        0.5,
        0.125,
    ]
    assert not any("val_accuracy" in row for row in checkpointer.rows)


# --- the loop -----------------------------------------------------------------------------------


def test_learning_rates_follow_the_milestones_for_every_optimiser() -> None:
    rates: list[tuple[float, float]] = []

    class Watched(CrossEntropy):
        extra = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=7.0)

        @property
        def optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
            return (self.extra,)

    class Checkpointer(Memory):
        def restore(self, parts: Mapping[str, Any]) -> int:
            self.parts = parts
            return 0

        def log(self, metrics: Mapping[str, float], step: int) -> None:
            main, extra = (m.param_groups[0]["lr"] for m in self.parts["optimizers"].members)
            rates.append((main, extra))

    how = plan(epochs=5, lr=0.5, decay=0.1, milestones=(1, 3))
    fit.fit(new_network(CLASSES), Watched(), *data(), how, runtime(), Checkpointer())
    wanted = [0.5, 0.05, 0.05, 0.005, 0.005]
    assert [main for main, _ in rates] == pytest.approx(wanted)
    assert all(main == extra for main, extra in rates)


def test_an_epoch_sees_every_image_once_and_drops_the_partial_batch() -> None:
    train, val, test = data()
    diary = CrossEntropy()
    how = plan(epochs=2, batch_size=9, flip=False)
    fit.fit(new_network(CLASSES), diary, train, val, test, how, runtime(), Memory())
    assert [tuple(p) for _, _, p in diary.seen] == [(e, 2, s, 4) for e in (0, 1) for s in range(4)]
    orders = [torch.cat([y for _, y, p in diary.seen if p.epoch == epoch]) for epoch in (0, 1)]
    assert not torch.equal(*orders)
    known = {tuple(image.flatten().tolist()): i for i, image in enumerate(train.images / 255)}
    for epoch in (0, 1):
        rows: list[int] = []
        for images, labels, progress in diary.seen:
            if progress.epoch == epoch:
                found = [known[tuple(image.flatten().tolist())] for image in images]
                assert labels.tolist() == train.labels[found].tolist()
                rows += found
        assert len(rows) == len(set(rows)) == 36


def test_flips_are_per_image() -> None:
    train, val, test = data()
    diary = CrossEntropy()
    fit.fit(new_network(CLASSES), diary, train, val, test, plan(epochs=10), runtime(), Memory())
    straight = {tuple(image.flatten().tolist()) for image in train.images / 255}
    mirrored = {tuple(image.flatten().tolist()) for image in train.images.flip(-1) / 255}
    views = [tuple(image.flatten().tolist()) for batch, _, _ in diary.seen for image in batch]
    assert all(view in straight or view in mirrored for view in views)
    assert sum(view in mirrored for view in views) / len(views) == pytest.approx(0.5, abs=0.1)


def test_the_training_equals_a_plain_sgd_loop() -> None:
    train, val, test = data()
    diary, model = CrossEntropy(), new_network(CLASSES)
    how = plan(epochs=2, lr=0.1, momentum=0.9, weight_decay=0.01, milestones=(1,), select="last")
    fit.fit(model, diary, train, val, test, how, runtime(), Memory())

    literal = new_network(CLASSES).train()
    velocity = {name: torch.zeros_like(p) for name, p in literal.named_parameters()}
    for images, labels, progress in diary.seen:
        lr = 0.1 if progress.epoch < 1 else 0.01
        loss = -literal(images).logits.log_softmax(1)[range(8), labels].mean()
        slopes = torch.autograd.grad(loss, list(literal.parameters()))
        with torch.no_grad():
            for (name, p), slope in zip(literal.named_parameters(), slopes, strict=True):
                velocity[name] = 0.9 * velocity[name] + slope + 0.01 * p
                p -= lr * velocity[name]
    for name, value in literal.state_dict().items():
        assert torch.allclose(model.state_dict()[name], value, atol=1e-5), name


def test_frozen_parameters_are_not_trained() -> None:
    model = new_network(CLASSES)
    model.norm.bias.requires_grad_(False)
    before = model.norm.bias.clone()
    fit.fit(model, CrossEntropy(), *data(), plan(epochs=1), runtime(), Memory())
    assert torch.equal(model.norm.bias, before)
    assert isinstance(
        fit.make_optimizer(plan(optimizer="adam"), model.parameters()), torch.optim.Adam
    )


def test_accuracy_counts_and_leaves_the_mode() -> None:
    model, (_, _, test) = new_network(CLASSES).train(), data()
    model.classifier.bias.data = torch.tensor([0.0, 0.0, 1e6, 0.0])
    before = snapshot(model)
    wanted = (test.labels == 2).double().mean().item()
    assert fit.accuracy(model, test) == fit.accuracy(model, test, batch_size=3) == wanted
    assert model.training and same_state(before, snapshot(model))


def test_trapdoor_success_is_measured_on_the_triggers_labels() -> None:
    """Triggers that a template matcher reads perfectly, whatever the image is."""
    model, (_, _, test) = new_network(CLASSES), data()
    triggers = torch.zeros(CLASSES, 3, 8, 8)
    for label in range(CLASSES):
        triggers[label, :, label] = 1.0
    model.norm = nn.BatchNorm1d(192, affine=False)  # identity in eval mode
    model.classifier.weight.data = triggers.flatten(1)
    model.classifier.bias.data.zero_()
    targets = torch.arange(len(test)).flip(0) % CLASSES
    for batch_size in (3, 512):  # each image with the trigger of its own label, in every batch
        assert fit.accuracy(model, test, Blend(triggers, 1.0), targets, batch_size) == 1.0
    assert fit.accuracy(model, test, Blend(triggers, 0.0), targets) < 0.7
    assert fit.accuracy(model, test, Blend(triggers.roll(1, dims=0), 1.0), targets) == 0.0


def test_uint8_becomes_0_to_1() -> None:
    assert fit.to_float(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == [
        0.0,
        pytest.approx(0.2),
        1.0,
    ]


def test_the_learning_rate_falls_at_every_milestone() -> None:
    rates = [fit.decayed(0.2, 0.1, (1, 3), epoch) for epoch in range(5)]
    assert rates == pytest.approx([0.2, 0.02, 0.02, 0.002, 0.002])
    assert fit.decayed(0.2, 0.1, (), 9) == 0.2
