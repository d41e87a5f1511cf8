"""Cheaper searches for Trap-MID's triggers against loops that are written out, bit for bit."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from injections import BATCH, CLASSES, batch, injected, network
from torch import Tensor, nn

from toy import TRAPMID, plan, runtime, same_state
from trapmid import losses, wiring
from trapmid.nets import dcgan
from trapmid.training import fit, injection
from trapmid.types import Progress

STEPS, EPOCHS = 3, 4
NEUTRAL = {"free": False, "discriminator_width": None, "search_every": 1, "frozen_after": None}
PLAIN = TRAPMID | NEUTRAL | {"augmentation": None}
OPTIONS: dict[str, dict[str, Any]] = {
    "neutral": {},
    "free": {"free": True},
    "free, hidden": {"free": True, "hiding_weight": 30.0},
    "free, triggers not hidden": {"free": True, "discriminator": False},
    "small": {"discriminator_width": 4},
    "every second": {"search_every": 2},
    "every seventh": {"search_every": 7},
    "settled": {"frozen_after": 0.2},
    "never settled": {"frozen_after": 1.0},
    "free, every second": {"free": True, "search_every": 2, "hiding_weight": 30.0},
    "all": {"free": True, "discriminator_width": 4, "search_every": 2, "frozen_after": 0.2},
    "half the epochs": {"free": True, "until": 0.5},
}


def objective(block: dict[str, Any]) -> injection.Objective:
    return injected(wiring.defense("trapmid", block, "trapdoor"))


def sgd(module: nn.Module) -> torch.optim.Optimizer:
    return fit.make_optimizer(plan(), module.parameters())


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return losses.smoothed_cross_entropy(logits, labels, 0.0).mean()


class Literal:
    """Algorithm 1 of the paper with each option as an `if`, on images that nothing augments."""

    def __init__(self, block: dict[str, Any], start: injection.Objective) -> None:
        self.d, self.k = block, start.trapdoor.triggers.clone()
        self.f, self.critic = network(CLASSES).train(), network(1)
        if block["discriminator_width"] is not None:
            with runtime().seeded("initial weights", "small discriminator"):
                small = dcgan.Critic(8, block["discriminator_width"])
            self.critic = runtime().place(small)  # its layout decides last bits, with AVX2 alone
        self.sgd, self.critic_sgd = sgd(self.f), sgd(self.critic)
        self.rates: list[float] = []  # of the epoch
        self.settled = False

    def score(self, x: Tensor) -> Tensor:
        result = self.critic(x)
        return (result if isinstance(result, Tensor) else result.logits).flatten()

    def poison(self, x: Tensor, keys: Tensor) -> Tensor:
        return torch.lerp(x, keys, torch.tensor(self.d["alpha"]))

    def learn_to_tell(self, x: Tensor, poisoned: Tensor) -> None:
        """Eq. 4."""
        truth = torch.tensor([1.0] * len(x) + [0.0] * len(x))
        self.critic.train()
        score = self.score(torch.cat([x, poisoned]))
        loss = F.binary_cross_entropy_with_logits(score, truth)
        self.critic_sgd.zero_grad()
        loss.backward()
        self.critic_sgd.step()

    def hiding(self, poisoned: Tensor) -> Tensor:
        """Eq. 5's first term; none without a discriminator."""
        if not self.d["discriminator"]:
            return 0.0 * poisoned.sum()
        self.critic.eval()
        return F.binary_cross_entropy_with_logits(self.score(poisoned), torch.ones(len(poisoned)))

    def move(self, slope: Tensor, wanted: Tensor) -> None:
        for label in wanted.unique():
            same = (wanted == label).float()
            total = (same @ slope.flatten(1)).view(3, 8, 8)  # images of one class sum
            moved = self.k[label] - self.d["step_size"] * total.sign()
            self.k[label] = moved.clamp(0, 1)

    def step(self, x: Tensor, y: Tensor, wanted: Tensor, at: Progress) -> float:
        d, n, free = self.d, len(x), self.d["free"]
        if at.step == 0 and d["frozen_after"] is not None and self.rates:
            self.settled |= sum(self.rates) / len(self.rates) >= d["frozen_after"]
        if at.step == 0:
            self.rates = []
        searching = at.epoch < d["until"] * at.epochs and not self.settled
        due = searching and (at.epoch * at.steps + at.step) % d["search_every"] == 0
        slope = torch.zeros(n, 3, 8, 8)
        if due:
            keys = self.k[wanted].clone().requires_grad_(True)
            if d["discriminator"]:
                self.learn_to_tell(x, self.poison(x, keys).detach())
            loss = d["hiding_weight"] * self.hiding(self.poison(x, keys))
            if not free:  # eq. 5's second term has a pass of its own, in evaluation mode
                self.f.eval()
                loss = cross_entropy(self.f(self.poison(x, keys)).logits, wanted) + loss
                self.f.train()
            (slope,) = torch.autograd.grad(loss, keys)
            if not free:
                self.move(slope, wanted)
        leaf = self.k[wanted].clone().requires_grad_(True)
        output = self.f(torch.cat([x, self.poison(x, leaf)]))
        benign, trapped = output.logits.chunk(2)
        total = (1 - d["beta"]) * cross_entropy(benign, y)
        total = total + d["beta"] * cross_entropy(trapped, wanted)
        self.sgd.zero_grad()
        total.backward()
        self.sgd.step()
        if searching and free:
            assert leaf.grad is not None
            self.move(leaf.grad + d["beta"] * slope, wanted)
        self.rates.append((trapped.argmax(dim=1) == wanted).float().mean().item())
        return total.item()


def targets(target: injection.Objective, at: Progress) -> Tensor:
    return target._target_labels(BATCH, at)


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_equals_its_literal_loop(name: str) -> None:
    block = PLAIN | OPTIONS[name]
    target, model = objective(block), network(CLASSES).train()
    literal, optimizer = Literal(block, target), sgd(model)
    for epoch in range(EPOCHS):
        for step in range(STEPS):
            at = Progress(epoch, EPOCHS, step, STEPS)
            x, y = batch(epoch * STEPS + step)
            loss = target(model, x, y, at)
            optimizer.zero_grad()
            loss.total.backward()
            optimizer.step()
            assert loss.total.item() == literal.step(x, y, targets(target, at), at)
            assert torch.equal(target.trapdoor.triggers, literal.k)
    assert same_state(model.state_dict(), literal.f.state_dict())
    if block["discriminator"]:
        critic = target.critics["image"]
        assert same_state(critic.state_dict(), literal.critic.state_dict())


def moves(block: dict[str, Any]) -> list[bool]:
    """Of every step, whether a trigger moved."""
    target, model = objective(block), network(CLASSES).train()
    optimizer, found = sgd(model), []
    for count in range(EPOCHS * STEPS):
        before = target.trapdoor.triggers.clone()
        at = Progress(count // STEPS, EPOCHS, count % STEPS, STEPS)
        optimizer.zero_grad()
        target(model, *batch(count), at).total.backward()
        optimizer.step()
        found.append(not torch.equal(before, target.trapdoor.triggers))
    return found


def test_the_steps_at_which_triggers_move() -> None:
    """The share of the literal loops' epochs, told apart: else two wrong loops could agree."""
    every = [True] * (EPOCHS * STEPS)
    assert moves(PLAIN) == moves(PLAIN | {"free": True}) == every
    assert moves(PLAIN | {"search_every": 7}) == [c % 7 == 0 for c in range(EPOCHS * STEPS)]
    assert moves(PLAIN | {"free": True, "search_every": 7}) == every
    first = [c < STEPS for c in range(EPOCHS * STEPS)]  # any success at all settles it
    assert moves(PLAIN | {"frozen_after": 1e-9}) == first
    assert moves(PLAIN | {"frozen_after": 1.0}) == every


def test_a_free_search_asks_the_model_once_a_step() -> None:
    for free, calls in ((True, [(True, 2 * BATCH)]), (False, [(False, BATCH), (True, 2 * BATCH)])):
        target, model = objective(PLAIN | {"free": free}), network(CLASSES).train()
        seen: list[tuple[bool, int]] = []
        model.register_forward_pre_hook(
            lambda m, args, seen=seen: seen.append((m.training, len(args[0])))
        )
        target(model, *batch(0), Progress(0, 2, 0, STEPS)).total.backward()
        assert seen == calls


def test_free_triggers_hide_at_every_kth_step_alone() -> None:
    """At the others neither learns the discriminator nor do the triggers heed it."""
    target, model = objective(PLAIN | {"free": True, "search_every": 3}), network(CLASSES).train()
    asked: list[int] = []
    target.critics["image"].register_forward_pre_hook(lambda m, args: asked.append(len(args[0])))
    told = []
    for count in range(6):
        at = Progress(count // STEPS, EPOCHS, count % STEPS, STEPS)
        told.append("image_discriminator_loss" in target(model, *batch(count), at).parts)
    assert asked == [2 * BATCH, BATCH] * 2 and told == [True, False, False] * 2


def test_free_triggers_move_when_the_loss_goes_backward() -> None:
    target, model = objective(PLAIN | {"free": True}), network(CLASSES).train()
    before = target.trapdoor.triggers.clone()
    loss = target(model, *batch(0), Progress(0, 2, 0, STEPS))
    assert torch.equal(target.trapdoor.triggers, before)
    loss.total.backward()
    moved = (target.trapdoor.triggers - before).abs()
    assert moved.max() == pytest.approx(PLAIN["step_size"], abs=1e-6) and moved.mean() > 0
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    assert target.trapdoor.triggers.grad is None


def test_a_free_search_hides_no_features() -> None:
    block = PLAIN | {"free": True, "feature_discriminator": True}
    with pytest.raises(ValueError, match="free: needs feature_discriminator: false"):
        wiring.defense("trapmid", block, "trapdoor")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"search_every": 0}, "search_every: 0 is under 1"),
        ({"discriminator_width": 0}, "discriminator_width: 0 is under 1"),
        ({"frozen_after": 0.0}, r"frozen_after: 0.0 is outside \(0, 1\]"),
        ({"free": 1}, "free"),
    ],
)
def test_a_wrong_option_is_one_line(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        wiring.defense("trapmid", PLAIN | change, "trapdoor")
    assert "\n" not in str(error.value)


def test_options_are_known_to_the_defence() -> None:
    names = {field.name for field in dataclasses.fields(wiring.defense("trapmid", PLAIN, "x"))}
    assert names >= set(NEUTRAL)
