"""An attacker's own triggers, held against a search that is written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from toy import SIZE, ToyTarget, images, runtime, seeded
from trapmid.config import params
from trapmid.config.study import SignatureRow, TriggerInversion
from trapmid.training.trigger_inversion import Inverted, invert_triggers
from trapmid.types import Output, Target

CLASSES = 4
HOW = TriggerInversion(blend=0.3, steps=12, step_size=0.1, batch_size=10)


def public(n: int = 26) -> Tensor:
    return (255 * images(n, seed=3)).to(torch.uint8)


def found(
    target: Target | None = None, how: TriggerInversion = HOW, **options: Any
) -> tuple[Target, Inverted]:
    asked = seeded(ToyTarget, CLASSES) if target is None else target
    return asked, invert_triggers(asked, public(), how, runtime(), **options)


def test_a_search_equals_signed_steps_that_are_written_out() -> None:
    """In float64, class by class: the slope of the classes' mean cross-entropy at their images."""
    target, inverted = found()
    target = target.eval().double()
    drawn = runtime().generator("trigger inversion")
    patterns = torch.rand(CLASSES, 3, SIZE, SIZE, generator=drawn).double()
    faces, label = public().double() / 255, 0
    for step in range(HOW.steps):
        rows = torch.randint(26, (HOW.batch_size,), generator=drawn)
        leaf = patterns.clone().requires_grad_(True)
        total = torch.zeros((), dtype=torch.float64)
        for row in rows.tolist():
            image = 0.7 * faces[row] + 0.3 * leaf[label]
            total = total - target(image[None]).logits.log_softmax(1)[0, label]
            label = (label + 1) % CLASSES
        (total / HOW.batch_size).backward()
        size = 0.1 * (1 - step / HOW.steps)
        patterns = (patterns - size * leaf.grad.sign()).clamp(0, 1)
    assert torch.allclose(inverted.patterns.double(), patterns, atol=1e-6)


def test_signatures_are_mean_features_of_public_images_with_a_pattern() -> None:
    target, inverted = found()
    target.eval()
    sums, hits = [[] for _ in range(CLASSES)], 0
    for row, image in enumerate(public().float() / 255):
        label = row % CLASSES
        with torch.no_grad():
            output = target((0.7 * image + 0.3 * inverted.patterns[label])[None])
        sums[label].append(output.features[0])
        hits += int(output.logits.argmax()) == label
    wanted = torch.stack([torch.stack(own).mean(dim=0) for own in sums])
    assert torch.allclose(inverted.signatures, wanted, atol=1e-5)
    assert inverted.success == pytest.approx(hits / 26)


class Trapped(Target):
    """Sees a class where a corner has its colour, else a face that none of these images has."""

    num_classes = 3

    def forward(self, images: Tensor) -> Output:
        corner = images[:, :, :2, :2].flatten(1)
        wanted = torch.eye(3).repeat_interleave(4, dim=1)  # red, green or blue
        pull = 40 * (corner[:, None] * (2 * wanted - 1)).mean(dim=2)
        return Output(pull, images.flatten(1))


def test_it_finds_the_corner_that_a_trapdoor_looks_at() -> None:
    """And nothing else: where the target does not look, a pattern stays the noise that it was."""
    how = TriggerInversion(blend=0.4, steps=40, step_size=0.1, batch_size=12)
    _, inverted = found(Trapped(), how)
    corners = inverted.patterns[:, :, :2, :2].mean(dim=(2, 3))
    assert torch.allclose(corners, torch.eye(3), atol=0.05)
    start = torch.rand(3, 3, SIZE, SIZE, generator=runtime().generator("trigger inversion"))
    assert torch.equal(inverted.patterns[:, :, 2:], start[:, :, 2:])
    _, unsearched = found(
        Trapped(), TriggerInversion(blend=0.4, steps=1, step_size=1e-6, batch_size=3)
    )
    assert inverted.success == 1 > unsearched.success


def test_the_target_stays_as_it_was() -> None:
    target = seeded(ToyTarget, CLASSES).train()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    found(target)
    assert target.training and all(one.requires_grad for one in target.parameters())
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())
    assert all(one.grad is None for one in target.parameters())


def test_how_many_are_described_at_once_changes_nothing() -> None:
    (_, whole), (_, parts) = found(), found(batch_size=7)
    assert torch.equal(whole.patterns, parts.patterns)
    assert torch.allclose(whole.signatures, parts.signatures, atol=1e-6)
    assert whole.success == parts.success


def test_every_class_needs_an_image() -> None:
    with pytest.raises(ValueError, match="inverted: 3 public images, 4 classes need one each"):
        invert_triggers(seeded(ToyTarget, CLASSES), public(3), HOW, runtime())


ROW = {
    "data": "faces",
    "target": "trapmid-0",
    "leak": "weights/none",
    "top_n": 30,
    "seed": 0,
    "inverted": {"blend": 0.05, "steps": 100, "step_size": 0.1, "batch_size": 120},
}


def test_a_row_of_signatures() -> None:
    row = params.build(SignatureRow, ROW, "signatures.x")
    assert row.inverted == TriggerInversion(blend=0.05, steps=100, step_size=0.1, batch_size=120)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"leak": "models/leaks/trapmid-0.pt"}, "inverted: guesses what leaked"),
        ({"inverted": ROW["inverted"] | {"blend": 0.0}}, "inverted.blend"),
        ({"inverted": ROW["inverted"] | {"steps": 0}}, "inverted.steps"),
        ({"inverted": {"steps": 3}}, "inverted"),
    ],
)
def test_wrong_rows(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(params.ParamsError, match=rf"signatures\.x.*{message}"):
        params.build(SignatureRow, ROW | changes, "signatures.x")
