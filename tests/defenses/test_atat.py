"""AT-AT: the moved images and their labels, against the same steps written out one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from toy import ATAT, T, ToyNet, images, runtime, seeded, setting
from trapmid import augment, wiring
from trapmid.runtime import eval_mode
from trapmid.types import Objective, Output, Progress, Target

CLASSES, RADIUS, STEP, STEPS = 4, 0.02, 0.008, 3


def objective(classes: int = CLASSES, **changes: Any) -> Objective:
    return wiring.defense("atat", ATAT | changes, "atat").objective(setting(classes))


class Spy(Target):
    """Remembers what it was asked in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.network = seeded(ToyNet, CLASSES)
        self.asked: list[Tensor] = []

    def forward(self, images: Tensor) -> Output:
        if self.training:
            self.asked.append(images.detach().clone())
        output: Output = self.network(images)
        return output


def by_hand(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The moved images and their labels, one image after the other."""
    model = seeded(ToyNet, CLASSES)
    wrong = (y + torch.randint(1, CLASSES, y.shape)) % CLASSES
    start = (2 * torch.rand(x.shape) - 1) * RADIUS
    made = []
    with eval_mode(model):
        for image, label, first in zip(x, wrong, start, strict=True):
            at = (image + first).clamp(0, 1)
            for _ in range(STEPS):
                at = at.detach().requires_grad_()
                F.cross_entropy(model(at[None]).logits, label[None]).backward()
                assert at.grad is not None
                change = (at.detach() - STEP * at.grad.sign() - image).clamp(-RADIUS, RADIUS)
                at = (image + change).clamp(0, 1)
            made.append(at.detach())
    return torch.stack(made), wrong


@pytest.mark.parametrize("augmentation", [None, T])
def test_the_loss_and_the_moved_images(augmentation: dict[str, object] | None) -> None:
    spy, y = Spy().train(), torch.arange(8) % CLASSES
    x = images(8)
    x[0], x[1] = 0.0, 1.0  # where the range of pixels ends
    torch.manual_seed(4)
    loss = objective(augmentation=augmentation)(spy, x, y, Progress(0, 1, 0, 1))
    torch.manual_seed(4)
    view = x if augmentation is None else augment.TrapAugmentation(**T)(x)
    moved, wrong = by_hand(view, y)
    (asked,) = spy.asked  # one forward in training mode: benign and moved images together
    assert torch.allclose(asked[:8], view) and torch.allclose(asked[8:], moved, atol=1e-6)
    assert (asked[8:] - view).abs().max() <= RADIUS + 1e-6
    assert asked[8:].min() >= 0 and asked[8:].max() <= 1
    assert (asked[8:] - view).abs().mean() > RADIUS / 2  # it went somewhere
    own, other = seeded(ToyNet, CLASSES).train()(torch.cat([view, moved])).logits.chunk(2)
    main, turned = F.cross_entropy(own, y), F.cross_entropy(other, wrong)
    assert torch.allclose(loss.total, main + 0.5 * turned, atol=1e-5)
    assert torch.allclose(loss.parts["main_loss"], main, atol=1e-5)
    assert torch.allclose(loss.parts["turned_loss"], turned, atol=1e-5)
    assert loss.parts["turned"] == (other.argmax(1) == wrong).float().mean()
    assert loss.parts["train_accuracy"] == (own.argmax(1) == y).float().mean()


def test_a_wrong_label_is_any_other_as_often() -> None:
    """The published code takes the next label twice as often as any other (docs/deviations.md)."""
    made: Any = objective(classes=5)
    y = torch.arange(5).repeat(4000)
    with runtime().seeded("draws"):
        wrong, _ = made._draws(torch.zeros(len(y), 1, 1, 1), y)
    assert not (wrong == y).any()
    counts = torch.zeros(5, 5).index_put((y, wrong), torch.ones(len(y)), accumulate=True)
    shares = counts[~torch.eye(5, dtype=torch.bool)] / 4000
    assert (shares - 0.25).abs().max() < 5 * (0.25 * 0.75 / 4000) ** 0.5


def test_training_makes_it_easier_to_fool() -> None:
    """What the defence is for: the same training without it leaves fewer images that turn."""

    def turned_after(weight: float) -> float:
        model = seeded(ToyNet, CLASSES).train()
        learn = objective(weight=weight)
        steps = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
        found = []
        with runtime().seeded("train"):
            for step in range(150):
                y = torch.arange(32) % CLASSES
                x = (images(32, seed=step) / 2 + y[:, None, None, None] / 8).clamp(0, 1)
                loss = learn(model, x, y, Progress(0, 1, step, 150))
                steps.zero_grad()
                loss.total.backward()
                steps.step()
                found.append(float(loss.parts["turned"]))
        return sum(found[-20:]) / 20

    assert turned_after(0.5) > turned_after(1e-6) + 0.05


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": 0.0}, r"atat\.weight: 0\.0 is not in \(0, 1e\+30\]"),
        ({"radius": 1.0}, r"atat\.radius: 1\.0 is outside \(0, 1\)"),
        ({"steps": 0}, r"atat\.steps: 0 is under 1"),
    ],
)
def test_wrong_blocks_name_themselves(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        objective(**changes)


def test_half_precision_is_refused() -> None:
    """The next value of a bright pixel in bf16 lies outside of the ball."""
    defense = wiring.defense("atat", ATAT, "atat")
    words = r"classifier_training\.\*\.precision: atat needs fp32, not "
    for precision in ("bf16", "auto"):
        with pytest.raises(ValueError, match=f"{words}{precision}"):
            defense.check_training(64, precision)
    with pytest.raises(ValueError, match=f"{words}bf16"):
        defense.objective(replace(setting(), rt=replace(runtime(), precision="bf16")))
    defense.check_training(64, "fp32")
