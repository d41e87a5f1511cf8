"""Every promise of `types.Defense` and `types.Objective` for every defence."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from toy import TRAPMID, T, ToyTarget, images, plan, runtime, same_state, seeded, snapshot
from trapmid import augment, fit, wiring
from trapmid.types import Defense, Objective, Progress, Setting, Target

CLASSES, BATCH = 4, 6
FEATURE = {"feature_discriminator": True}
# name -> (method, block, critics)
ROWS: dict[str, tuple[str, dict[str, Any], int]] = {
    "none": ("none", {"augmentation": None}, 0),
    "none_aug": ("none", {"augmentation": T}, 0),
    "trapmid": ("trapmid", TRAPMID, 1),
    "trapmid, fixed": ("trapmid", TRAPMID | {"optimized": False}, 0),
    "trapmid, no discriminator": ("trapmid", TRAPMID | {"discriminator": False}, 0),
    "trapmid, features": ("trapmid", TRAPMID | FEATURE, 2),
    "trapmid, features alone": ("trapmid", TRAPMID | FEATURE | {"discriminator": False}, 1),
    "trapmid, hidden features": ("trapmid", TRAPMID | FEATURE | {"feature_model_loss": True}, 2),
}


def defense(name: str) -> Defense:
    method, block, _ = ROWS[name]
    return wiring.defense(method, block, name)


def network(outputs: int) -> Target:
    made: Target = seeded(ToyTarget, outputs, seed=outputs)
    return made


def objective(name: str, seed: int = 0) -> Objective:
    return defense(name).objective(
        Setting(
            image_shape=(3, 8, 8),
            num_classes=CLASSES,
            new_network=network,
            new_optimizer=partial(fit.make_optimizer, plan()),
            rt=runtime(seed),
        )
    )


def batch(step: int = 0) -> tuple[Any, Any, Progress]:
    labels = torch.randint(CLASSES, (BATCH,), generator=torch.Generator().manual_seed(step))
    return images(BATCH, seed=step), labels, Progress(0, 2, step, 5)


def test_every_defense_has_a_row() -> None:
    assert set(wiring.names("defenses")) == {method for method, _, _ in ROWS.values()}


@pytest.mark.parametrize("name", ROWS)
def test_a_loss_with_detached_parts(name: str) -> None:
    model, target = network(CLASSES).train(), objective(name)
    assert defense(name).harden(model) is model
    loss = target(model, *batch())
    assert loss.total.shape == () and loss.total.requires_grad and loss.total.isfinite()
    for part in loss.parts.values():
        assert part.shape == () and not part.requires_grad and part.isfinite()
    assert 0 <= loss.parts["train_accuracy"] <= 1
    loss.total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", ROWS)
def test_the_objective_leaves_the_model_to_the_loop(name: str) -> None:
    """Before `backward`: no weight has moved, none holds a gradient, modes and flags are back."""
    model, target = network(CLASSES).train(), objective(name)
    model.norm.bias.requires_grad_(False)
    weights, flags = snapshot(model), [p.requires_grad for p in model.parameters()]
    target(model, *batch())
    assert all(p.grad is None for p in model.parameters())
    assert [p.requires_grad for p in model.parameters()] == flags
    assert all(part.training for part in model.modules())
    for key, value in model.named_parameters():
        assert torch.equal(value, weights[key])


@pytest.mark.parametrize("name", ROWS)
def test_running_statistics_move_once_a_step(name: str) -> None:
    """The model's by its own forward; a trigger step reads them and leaves them."""
    model, target = network(CLASSES).train(), objective(name)
    for step in range(3):
        loss = target(model, *batch(step))
        assert model.norm.num_batches_tracked == step + 1
        loss.total.backward()
        model.zero_grad()
    for part in target.modules():
        if isinstance(part, torch.nn.BatchNorm1d):
            assert part.num_batches_tracked == 3


@pytest.mark.parametrize("name", ROWS)
def test_every_optimiser_is_listed_and_its_state_comes_back(name: str) -> None:
    target, critics = objective(name), ROWS[name][2]
    assert len(target.optimizers) == critics
    listed = [p for o in target.optimizers for group in o.param_groups for p in group["params"]]
    assert {id(p) for p in listed} == {id(p) for p in target.parameters()}
    if target.trapdoor is not None:  # triggers are saved with the objective, but no parameters
        assert "trapdoor.triggers" in target.state_dict()
    model = network(CLASSES).train()
    target(model, *batch())
    copy = objective(name, seed=1)
    copy.load_state_dict(target.state_dict())
    assert same_state(snapshot(copy), snapshot(target))


@pytest.mark.parametrize("name", ROWS)
def test_the_seed_decides(name: str) -> None:
    """Whatever ran before: starts, target labels and triggers come from streams of their own."""

    def run(seed: int) -> dict[str, Any]:
        model, target = network(CLASSES).train(), objective(name, seed)
        with runtime(seed).seeded("step"):
            target(model, *batch()).total.backward()
        return snapshot(target) | snapshot(model)

    first = run(0)
    torch.rand(5)
    assert same_state(first, run(0))


def test_no_defense_is_cross_entropy() -> None:
    model, (x, y, progress) = network(CLASSES).train(), batch()
    loss = objective("none")(model, x, y, progress)
    logits = network(CLASSES).train()(x).logits
    assert torch.allclose(loss.total, F.cross_entropy(logits, y))
    assert loss.parts["train_accuracy"] == (logits.argmax(1) == y).float().mean()


def test_the_control_sees_trapmids_augmentation() -> None:
    x, y, progress = batch()
    target, model = objective("none_aug"), network(CLASSES).train()
    torch.manual_seed(3)
    loss = target(model, x, y, progress)
    torch.manual_seed(3)
    view = augment.TrapAugmentation(**T)(x)
    assert not torch.allclose(view, x)
    assert torch.allclose(loss.total, F.cross_entropy(network(CLASSES).train()(view).logits, y))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": 1.5}, r"trapdoor\.alpha: 1\.5 is outside \[0, 1\]"),
        ({"beta": -0.1}, r"trapdoor\.beta: -0\.1 is outside \[0, 1\]"),
        ({"step_size": 0.0}, r"trapdoor\.step_size: 0\.0 is not positive"),
        ({"optimized": False, **FEATURE}, r"trapdoor\.feature_discriminator: needs optimized"),
        ({"feature_model_loss": True}, r"trapdoor\.feature_model_loss: needs feature_disc"),
        ({"augmentation": T | {"crop": 2.0}}, r"trapdoor\.augmentation\.crop: 2\.0 is outside"),
        ({"augmentation": None}, r"trapdoor\.augmentation: must be a mapping, is None"),
    ],
)
def test_wrong_blocks_name_themselves(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wiring.defense("trapmid", TRAPMID | changes, "trapdoor")
