"""Trap-MID against the official step, written out naively."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from injections import BATCH, CLASSES, batch, injected, network
from torch import Tensor, nn

from trapmid.augment import TrapAugmentation
from trapmid.defenses import trapmid
from trapmid.losses import Smoothing
from trapmid.training import injection
from trapmid.types import Progress

STEPS = 6
OFF = TrapAugmentation(crop=0, crop_per="batch", scale=0.5, flip=0, rotation=0, degrees=0)
BASE = trapmid.Defense(
    alpha=0.1,
    beta=0.2,
    step_size=0.01,
    until=1.0,
    optimized=True,
    discriminator=True,
    hiding_weight=1.0,
    feature_discriminator=False,
    feature_model_loss=False,
    augmentation=OFF,
    smoothing=None,
    smoothed_terms="both",
    free=False,
    discriminator_width=None,
    search_every=1,
    frozen_after=None,
)
VARIANTS: dict[str, dict[str, Any]] = {
    "paper": {},
    "fixed triggers": {"optimized": False},
    "trapdoor loss alone": {"discriminator": False},
    "feature discriminator": {"feature_discriminator": True},
    "feature discriminator alone": {"feature_discriminator": True, "discriminator": False},
    "feature model loss": {"feature_discriminator": True, "feature_model_loss": True},
    "other weights": {"alpha": 0.3, "beta": 0.6, "step_size": 0.2, "hiding_weight": 0.3},
}


class Views:
    """An 'augmentation' that tells its calls apart: the n-th call applies the n-th of six maps."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Tensor) -> Tensor:
        self.calls += 1
        maps: list[Callable[[Tensor], Tensor]] = [
            lambda x: x.flip(-1),
            lambda x: 0.9 * x,
            lambda x: x.roll(1, dims=2),
            lambda x: x.flip(-2),
            lambda x: 0.5 * x + 0.1,
            lambda x: x.roll(2, dims=3),
        ]
        return maps[(self.calls - 1) % 6](x)


def objective(**changes: Any) -> injection.Objective:
    return injected(dataclasses.replace(BASE, **changes))


def target_labels(target: injection.Objective, epoch: int = 0) -> list[Tensor]:
    """The labels y' of an epoch, as the poisoned half of the model's batch carries them."""
    seen: list[Tensor] = []
    hook = target.trapdoor.register_forward_pre_hook(lambda m, args: seen.append(args[1].clone()))
    model = network(CLASSES).train()
    for step in range(STEPS):
        target(model, *batch(step), Progress(epoch, 2, step, STEPS))
    hook.remove()
    return seen


# --- the official step --------------------------------------------------------------------------


class Official:
    """One training step as `engine.py` has it: stacked triggers, dense gradients, three updates."""

    def __init__(self, defense: trapmid.Defense, start: injection.Objective) -> None:
        self.d, self.k = defense, start.trapdoor.triggers.clone()
        self.f, self.image = network(CLASSES).train(), network(1)
        self.feature: nn.Module | None = None
        if defense.feature_discriminator:
            width = 192 + CLASSES
            self.feature = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
            self.feature.load_state_dict(start.critics["feature"].state_dict())
        self.sgd = {name: self.optimizer(m) for name, m in self.networks().items()}
        self.view = Views()

    def networks(self) -> dict[str, nn.Module]:
        every = {"f": self.f, "image": self.image, "feature": self.feature}
        return {name: m for name, m in every.items() if m is not None}

    @staticmethod
    def optimizer(module: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)

    def poison(self, x: Tensor, k: Tensor, y: Tensor) -> Tensor:
        key = torch.stack([k[j] for j in y])
        return (1 - self.d.alpha) * x + self.d.alpha * key

    def describe(self, x: Tensor) -> Tensor:
        features, logits = self.f(x).features, self.f(x).logits
        one_hot = torch.zeros_like(logits)
        for i in range(len(x)):
            one_hot[i, logits[i].argmax()] = 1
        return torch.cat([features, one_hot], dim=1)

    def step(self, x: Tensor, y: Tensor, wanted: Tensor) -> float:
        d, n = self.d, len(x)
        truth = torch.tensor([1.0] * n + [0.0] * n)
        if d.optimized:
            k = self.k.clone().requires_grad_(True)
            self.f.eval()
            poisoned = self.poison(x, k, wanted)
            both = torch.cat([x, poisoned.detach()])
            hiding = []
            if d.discriminator:
                self.image.train()
                loss = bce(self.image(both).logits[:, 0], truth)
                self.update("image", loss)
                self.image.eval()
                hiding.append(bce(self.image(poisoned).logits[:, 0], torch.ones(n)))
            if self.feature is not None:
                self.update("feature", bce(self.feature(self.describe(both).detach())[:, 0], truth))
                hiding.append(bce(self.feature(self.describe(poisoned))[:, 0], torch.ones(n)))
            loss = F.cross_entropy(self.f(self.view(poisoned)).logits, wanted)
            if hiding:
                loss = loss + d.hiding_weight * sum(hiding) / len(hiding)
            (slope,) = torch.autograd.grad(loss, k)  # dense: duplicates of a class have summed
            self.k = (self.k - d.step_size * slope.sign()).clamp(0, 1)
        self.f.train()
        benign = self.view(x)
        both = torch.cat([benign, self.view(self.poison(x, self.k, wanted))])
        output = self.f(both)
        loss = (1 - d.beta) * F.cross_entropy(output.logits[:n], y)
        loss = loss + d.beta * F.cross_entropy(output.logits[n:], wanted)
        if d.feature_model_loss:
            assert self.feature is not None
            one_hot = F.one_hot(output.logits.argmax(dim=1), CLASSES)
            score = self.feature(torch.cat([output.features, one_hot], dim=1))[:, 0]
            loss = loss + d.beta * bce(score, torch.full((2 * n,), 0.5))
        self.update("f", loss)
        return loss.item()

    def update(self, name: str, loss: Tensor) -> None:
        self.sgd[name].zero_grad()
        loss.backward()
        self.sgd[name].step()


def bce(scores: Tensor, truth: Tensor) -> Tensor:
    p = scores.sigmoid()
    return -(truth * p.log() + (1 - truth) * (1 - p).log()).mean()


@pytest.mark.parametrize("variant", VARIANTS)
def test_six_steps_equal_the_official_ones(variant: str) -> None:
    view = Views()
    defense = dataclasses.replace(BASE, **VARIANTS[variant], augmentation=view)
    target = objective(**VARIANTS[variant], augmentation=view)
    official, model = Official(defense, target), network(CLASSES).train()
    sgd = Official.optimizer(model)
    labels = target_labels(objective(**VARIANTS[variant]))
    for step in range(STEPS):
        x, y = batch(step)
        loss = target(model, x, y, Progress(0, 2, step, STEPS))
        sgd.zero_grad()
        loss.total.backward()
        sgd.step()
        wanted = official.step(x, y, labels[step])
        assert loss.total.item() == pytest.approx(wanted, rel=1e-5)
    assert view.calls == official.view.calls == (3 if defense.optimized else 2) * STEPS
    assert torch.allclose(target.trapdoor.triggers, official.k, atol=1e-6)
    pairs: list[tuple[nn.Module, nn.Module]] = [(model, official.f)]
    if defense.optimized and defense.discriminator:
        pairs.append((target.critics["image"], official.image))
    if official.feature is not None:
        pairs.append((target.critics["feature"], official.feature))
    assert len(pairs) == 1 + len(target.critics)
    for ours, theirs in pairs:
        for key, value in theirs.state_dict().items():
            assert torch.allclose(ours.state_dict()[key], value, atol=2e-5), key


def test_the_order_of_a_step() -> None:
    """Discriminator, triggers, model; who is in which mode; the discriminator sees no views."""
    view, log = Views(), []
    target = objective(augmentation=view)
    model = network(CLASSES).train()
    triggers = target.trapdoor.triggers

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            log.append((name, module.training, len(args[0]), view.calls, triggers.clone()))

        return hook

    critic = target.critics["image"]
    model.register_forward_pre_hook(note("f"))
    critic.register_forward_pre_hook(note("D"))
    weights: list[Tensor] = []
    critic.register_forward_pre_hook(lambda m, args: weights.append(m.classifier.weight.clone()))
    shown: list[Tensor] = []
    critic.register_forward_pre_hook(lambda m, args: shown.append(args[0].detach().clone()))
    x, y = batch(0)
    start = triggers.clone()
    target(model, x, y, Progress(0, 2, 0, STEPS))

    assert log[0][:4] == ("D", True, 2 * BATCH, 0)  # before any view was drawn
    assert sorted(entry[:3] for entry in log[1:3]) == [("D", False, BATCH), ("f", False, BATCH)]
    assert log[3][:4] == ("f", True, 2 * BATCH, 3) and len(log) == 4
    assert all(torch.equal(entry[4], start) for entry in log[:3])
    assert not torch.equal(log[3][4], start)  # the model's batch carries the moved triggers
    assert not torch.equal(weights[0], weights[1])  # triggers hide from the moved discriminator
    (wanted,) = target_labels(objective())[:1]
    poisoned = 0.9 * x + 0.1 * start[wanted]
    assert torch.allclose(shown[0], torch.cat([x, poisoned]), atol=1e-6)
    assert torch.allclose(shown[1], poisoned, atol=1e-6)


# --- triggers -----------------------------------------------------------------------------------


def test_only_the_rows_of_the_batch_move_and_by_one_step() -> None:
    target, model = objective(step_size=0.03), network(CLASSES).train()
    before = target.trapdoor.triggers.clone()
    before[0].zero_()
    before[1].fill_(1.0)
    target.trapdoor.triggers.copy_(before)
    wanted = torch.tensor([0, 1, 1, 3, 3, 3, 0, 1])
    assert target._search is not None
    target._update_triggers(target._search, model, batch(0)[0], wanted, Progress(0, 2, 0, STEPS))
    moved = target.trapdoor.triggers - before
    assert (moved[[2, 4]] == 0).all()
    inside = (target.trapdoor.triggers > 0) & (target.trapdoor.triggers < 1)
    rows = [0, 1, 3]
    assert torch.allclose(moved[rows][inside[rows]].abs(), torch.tensor(0.03), atol=1e-6)
    assert (moved[0] >= 0).all() and (moved[1] <= 0).all()  # clipped at the border
    for row in rows:
        assert (moved[row] != 0).float().mean() > 0.2
    assert target.trapdoor.triggers.min() >= 0 and target.trapdoor.triggers.max() <= 1


def test_images_of_one_class_sum_before_the_sign() -> None:
    target = objective()
    target.trapdoor.triggers.fill_(0.5)
    slope = torch.zeros(4, 3, 8, 8)
    slope[:, 0, 0, 0] = torch.tensor([1.0, 1.0, -3.0, -1.0])  # class 2: 1 + 1 - 3 < 0
    slope[:, 1, 0, 0] = torch.tensor([1.0, 1.0, -2.0, 0.0])  # class 2: 0, so it rests
    slope[:, 2, 0, 0] = torch.tensor([1.0, 0.0, 0.0, 1e-20])
    target._step_triggers(0.01, slope, torch.tensor([2, 2, 2, 4]))
    moved = target.trapdoor.triggers - 0.5
    assert moved[2, :, 0, 0].tolist() == pytest.approx([0.01, 0.0, -0.01], abs=1e-7)
    assert moved[4, :, 0, 0].tolist() == pytest.approx([0.01, 0.0, -0.01], abs=1e-7)
    moved[[2, 4], :, 0, 0] = 0
    assert (moved == 0).all()


def test_the_gathered_step_equals_the_dense_one_on_many_duplicates() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        target = objective()
        wanted = torch.randint(CLASSES, (64,), generator=generator)
        slope = torch.randn(64, 3, 8, 8, generator=generator)
        dense = torch.zeros(CLASSES, 3, 8, 8, dtype=torch.float64)
        for j, s in zip(wanted.tolist(), slope, strict=True):
            dense[j] += s
        official = (target.trapdoor.triggers - 0.01 * dense.sign()).clamp(0, 1).float()
        target._step_triggers(0.01, slope, wanted)
        assert torch.allclose(target.trapdoor.triggers, official, atol=1e-6)


def test_fixed_triggers_stay_as_drawn() -> None:
    target = objective(optimized=False)
    before = target.trapdoor.triggers.clone()
    target_labels(target)
    assert torch.equal(target.trapdoor.triggers, before)
    assert before.min() >= 0 and before.max() <= 1
    assert before.mean().item() == pytest.approx(0.5, abs=0.05)


def test_triggers_stay_after_their_share_of_the_epochs() -> None:
    target, model = objective(until=0.5), network(CLASSES).train()
    for epoch, moves in enumerate([True, True, False, False]):
        before = target.trapdoor.triggers.clone()
        loss = target(model, *batch(0), Progress(epoch, 4, 0, STEPS))
        assert torch.equal(target.trapdoor.triggers, before) != moves
        assert ("image_discriminator_loss" in loss.parts) == moves


@pytest.mark.parametrize(("until", "epochs", "last"), [(0.28, 25, 7), (0.07, 100, 7), (0.5, 7, 4)])
def test_a_share_of_the_epochs_is_not_a_rounding_error_longer(
    until: float, epochs: int, last: int
) -> None:
    """0.28 x 25 is 7.000000000000001 in floats; half of seven epochs ends within the fourth."""
    target, model = objective(until=until), network(CLASSES).train()
    for epoch in (last - 1, last):
        parts = target(model, *batch(0), Progress(epoch, epochs, 0, STEPS)).parts
        assert ("image_discriminator_loss" in parts) == (epoch < last)


def test_triggers_hold_no_gradient() -> None:
    target, model = objective(**VARIANTS["feature model loss"]), network(CLASSES).train()
    target(model, *batch(0), Progress(0, 2, 0, STEPS)).total.backward()
    assert not target.trapdoor.triggers.requires_grad and target.trapdoor.triggers.grad is None
    assert all(p.requires_grad for p in target.critics.parameters())


def test_the_feature_model_loss_leaves_the_critic_alone() -> None:
    """What the critics hold after a step is the gradient of their own loss."""
    one, other = (objective(**VARIANTS[v]) for v in ("feature discriminator", "feature model loss"))
    for target in (one, other):
        target(network(CLASSES).train(), *batch(0), Progress(0, 2, 0, STEPS)).total.backward()
    pairs = zip(one.critics.parameters(), other.critics.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) for a, b in pairs)


# --- target labels ------------------------------------------------------------------------------


def test_every_class_is_a_target_equally_often_each_epoch() -> None:
    epochs = []
    for epoch in (0, 1):
        chunks = target_labels(objective(), epoch)
        assert [len(chunk) for chunk in chunks] == [BATCH] * STEPS
        labels = torch.cat(chunks).tolist()
        counts = Counter(labels)
        assert set(counts) == set(range(CLASSES))
        assert set(counts.values()) == {math.floor(48 / 5), math.ceil(48 / 5)}
        epochs.append(labels)
    assert epochs[0] != epochs[1]
    assert epochs[0] != sorted(epochs[0])


def test_accuracies_of_both_halves_are_logged() -> None:
    target, model = objective(alpha=1.0, optimized=False), network(CLASSES).train()
    x, y = batch(0)
    (wanted,) = target_labels(objective())[:1]
    loss = target(model, x, y, Progress(0, 2, 0, STEPS))
    both = torch.cat([x, target.trapdoor.triggers[wanted]])
    answers = network(CLASSES).train()(both).logits.argmax(dim=1)
    assert loss.parts["train_accuracy"] == (answers[:BATCH] == y).float().mean()
    assert loss.parts["train_trapdoor_success"] == (answers[BATCH:] == wanted).float().mean()


# --- with negative label smoothing --------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "epoch", "factors"),
    [("both", 7, (-0.05, -0.05)), ("main", 7, (-0.05, 0.0)), ("both", 0, (0.0, 0.0))],
)
def test_negls_smooths_the_terms_that_it_is_asked_to(
    terms: str, epoch: int, factors: tuple[float, float]
) -> None:
    smoothing = Smoothing(factor=-0.05, ramp=(0.5, 0.75), jump=True)
    target = objective(optimized=False, smoothing=smoothing, smoothed_terms=terms)
    model, (x, y) = network(CLASSES).train(), batch(0)
    seen: list[Tensor] = []
    target.trapdoor.register_forward_pre_hook(lambda m, args: seen.append(args[1].clone()))
    loss = target(model, x, y, Progress(epoch, 8, 0, STEPS))
    (wanted,) = seen
    both = torch.cat([x, 0.9 * x + 0.1 * target.trapdoor.triggers[wanted]])
    logits = network(CLASSES).train()(both).logits.chunk(2)

    def smoothed(logits: Tensor, labels: Tensor, a: float) -> Tensor:
        log_p = logits.log_softmax(dim=1)
        truth = (1 - a) * F.one_hot(labels, CLASSES) + a / CLASSES
        return -(truth * log_p).sum(dim=1).mean()

    main, trap = (smoothed(*half) for half in zip(logits, (y, wanted), factors, strict=True))
    assert torch.allclose(loss.parts["main_loss"], main, atol=1e-6)
    assert torch.allclose(loss.parts["trapdoor_loss"], trap, atol=1e-6)
    assert torch.allclose(loss.total, 0.8 * main + 0.2 * trap, atol=1e-6)


def test_the_triggers_minimise_the_smoothed_loss_too() -> None:
    """Far from its label a smoothed loss slopes elsewhere than the plain one."""
    smoothing = Smoothing(factor=-5.0, ramp=(0.0, 0.0), jump=False)
    moved = {}
    for terms in ("both", "main"):
        target = objective(discriminator=False, smoothing=smoothing, smoothed_terms=terms)
        target_labels(target)
        moved[terms] = target.trapdoor.triggers
    plain = objective(discriminator=False)
    target_labels(plain)
    assert torch.equal(moved["main"], plain.trapdoor.triggers)
    assert not torch.equal(moved["both"], plain.trapdoor.triggers)
