"""Every promise of `types.Defense` and `types.Objective` for every defence."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from toy import BLOCKS, TRAPMID, T, ToyNet, images, plan, runtime, same_state, seeded, snapshot
from trapmid import augment, wiring
from trapmid.runtime import Precision, eval_mode
from trapmid.training import fit
from trapmid.types import Defense, Objective, Progress, Setting, Target

CLASSES, BATCH = 4, 6
FEATURE = {"feature_discriminator": True}
VARIANTS: dict[str, dict[str, Any]] = {
    "trapmid, no augmentation": {"augmentation": None},
    "trapmid, fixed": {"optimized": False},
    "trapmid, no discriminator": {"discriminator": False},
    "trapmid, features": FEATURE,
    "trapmid, features alone": FEATURE | {"discriminator": False},
    "trapmid, hidden features": FEATURE | {"feature_model_loss": True},
}
ROWS = BLOCKS | {name: ("trapmid", TRAPMID | changes) for name, changes in VARIANTS.items()}
CRITICS = {"trapmid, fixed": 0, "trapmid, no discriminator": 0, "trapmid, features": 2}
CRITICS |= {"trapmid, features alone": 1, "trapmid, hidden features": 2, "ted_plus": 1}


def critics(name: str) -> int:
    """How many discriminators a defence trains."""
    return CRITICS.get(name, 1 if ROWS[name][0] == "trapmid" else 0)


def defense(name: str) -> Defense:
    method, block = ROWS[name]
    return wiring.defense(method, block, name)


def network(outputs: int) -> Target:
    made: Target = seeded(ToyNet, outputs, seed=outputs)
    return made


def adapted(name: str) -> Target:
    with runtime().seeded("adapt"):
        return defense(name).adapt(network(CLASSES)).train()


def objective(name: str, seed: int = 0, precision: Precision = "fp32") -> Objective:
    return defense(name).objective(
        Setting(
            image_shape=(3, 8, 8),
            num_classes=CLASSES,
            new_network=network,
            new_optimizer=partial(fit.make_optimizer, plan()),
            rt=replace(runtime(seed), precision=precision),
        )
    )


def batch(step: int = 0) -> tuple[Any, Any, Progress]:
    labels = torch.randint(CLASSES, (BATCH,), generator=torch.Generator().manual_seed(step))
    return images(BATCH, seed=step), labels, Progress(0, 2, step, 5)


def test_every_defense_has_a_row() -> None:
    rows = {method for method, _ in ROWS.values()}
    wrong = sorted(rows ^ set(wiring.names("defenses")))
    assert not wrong, (
        f"ROWS in tests/defenses/test_defenses.py and the files of "
        f"src/trapmid/defenses differ by {wrong}"
    )


@pytest.mark.parametrize("name", ROWS)
def test_a_loss_with_detached_parts(name: str) -> None:
    model, target = adapted(name), objective(name)
    loss = target(model, *batch())
    assert loss.total.shape == () and loss.total.requires_grad and loss.total.isfinite()
    for part in loss.parts.values():
        assert part.shape == () and not part.requires_grad and part.isfinite()
    assert "train_accuracy" in loss.parts, f"{name}: its objective returns no train_accuracy"
    assert 0 <= loss.parts["train_accuracy"] <= 1
    loss.total.backward()
    learnt = [p for p in model.parameters() if p.requires_grad]
    assert learnt and all(p.grad is not None and p.grad.isfinite().all() for p in learnt)


@pytest.mark.parametrize("name", ROWS)
def test_the_network_says_whether_it_was_altered(name: str) -> None:
    """Unless it says so, the saved weights must fit the network as it was."""
    altered = wiring.defense(*ROWS[name], name).alters_network
    plain, other = network(CLASSES), adapted(name)
    same = plain.state_dict().keys() == other.state_dict().keys() and type(plain) is type(other)
    if altered:  # else its weights would fit a network that computes something else
        with eval_mode(plain, other):
            assert not same or not torch.equal(other(images(2)).logits, plain(images(2)).logits)
    else:
        assert same


@pytest.mark.parametrize("name", ROWS)
def test_the_objective_leaves_the_model_to_the_loop(name: str) -> None:
    """Before `backward`: no weight has moved, none holds a gradient, modes and flags are back."""
    model, target = adapted(name), objective(name)
    next(model.parameters()).requires_grad_(False)
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
    model, target = adapted(name), objective(name)
    moves = 0 if ROWS[name][0] == "transfer" else 1  # public statistics stay
    norms = [part for part in model.modules() if isinstance(part, torch.nn.BatchNorm1d)]
    assert len(norms) == {"dpsgd": 0, "loft": 2}.get(ROWS[name][0], 1)
    for step in range(3):
        loss = target(model, *batch(step))
        assert all(norm.num_batches_tracked == moves * (step + 1) for norm in norms)
        loss.total.backward()
        model.zero_grad()
    for part in target.modules():
        if isinstance(part, torch.nn.BatchNorm1d):
            assert part.num_batches_tracked == 3


@pytest.mark.parametrize("name", ROWS)
def test_every_optimiser_is_listed_and_its_state_comes_back(name: str) -> None:
    target = objective(name)
    assert len(target.optimizers) == critics(name)
    listed = [p for o in target.optimizers for group in o.param_groups for p in group["params"]]
    assert {id(p) for p in listed} == {id(p) for p in target.parameters()}
    if target.trapdoor is not None:  # triggers are saved with the objective, but no parameters
        assert "trapdoor.triggers" in target.state_dict()
    target(adapted(name), *batch())
    copy = objective(name, seed=1)
    copy.load_state_dict(target.state_dict())
    assert same_state(snapshot(copy), snapshot(target))


@pytest.mark.parametrize("name", ROWS)
def test_the_seed_decides(name: str) -> None:
    """Whatever ran before: starts, target labels and triggers come from streams of their own."""

    def run(seed: int) -> dict[str, Any]:
        model, target = adapted(name), objective(name, seed)
        with runtime(seed).seeded("step"):
            target(model, *batch()).total.backward()
        return snapshot(target) | snapshot(model)

    first = run(0)
    torch.rand(5)
    assert same_state(first, run(0))


def test_no_defense_is_cross_entropy() -> None:
    model, (x, y, progress) = adapted("none"), batch()
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
        ({"step_size": 0.0}, r"trapdoor\.step_size: 0\.0 is not in \(0, 1e\+30\]"),
        ({"optimized": False, **FEATURE}, r"trapdoor\.feature_discriminator: needs optimized"),
        ({"feature_model_loss": True}, r"trapdoor\.feature_model_loss: needs feature_disc"),
        ({"augmentation": T | {"crop": 2.0}}, r"trapdoor\.augmentation\.crop: 2\.0 is outside"),
        ({"augmentation": 1}, r"trapdoor\.augmentation: must be a mapping, is 1"),
        ({"smoothed_terms": "trap"}, r"trapdoor\.smoothed_terms: 'trap' is not one of both, main"),
    ],
)
def test_wrong_blocks_name_themselves(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wiring.defense("trapmid", TRAPMID | changes, "trapdoor")


OTHER: dict[str, dict[str, Any]] = {
    "none": {"augmentation": T},
    "atat": {"weight": 0.7, "radius": 0.05, "step": 0.003, "steps": 2, "augmentation": T},
    "bido": {
        "measure": "coco",
        "kernel": "imq",
        "label_kernel": "gaussian",
        "input_weight": 0.5,
        "label_weight": 0.05,
        "sigma": 2.0,
    },
    "loft": {"rank": 1},
    "midre": {"area": [0.2, 0.6], "fill": [0.1, 0.6, 0.5], "augmentation": T},
    "mid": {"weight": 0.03, "width": 4},
    "negls": {"smoothing": {"factor": -0.5, "ramp": [0.0, 0.5], "jump": True}},
    "rolss": {"scale": 0.5},
    "ted": {"alpha": 0.5, "beta": 0.3, "squares": 1, "square": 5},
    "ted_plus": {
        "alpha": 0.5,
        "beta": 0.3,
        "squares": 1,
        "square": 5,
        "step_size": 0.1,
        "until": 0.5,
        "hiding_weight": 30.0,
        "augmentation": None,
    },
    "transfer": {"frozen_stages": 2, "freeze_statistics": False},
    "trapmid": {
        "alpha": 0.3,
        "beta": 0.4,
        "step_size": 0.1,
        "until": 0.5,
        "optimized": False,
        "discriminator": False,
        "hiding_weight": 30.0,
        "feature_discriminator": True,
        "augmentation": None,
        "smoothing": {"factor": -0.5, "ramp": [0.0, 0.5], "jump": True},
        "free": True,
        "discriminator_width": 4,
        "search_every": 2,
        "frozen_after": 1e-6,
    },
}
"""Of every block other values, one of which is to make another training."""
ELSEWHERE = {  # change nothing by themselves in a step, and have tests of their own
    "bido": {"identities_per_batch", "images_per_identity"},  # of the batches
    "mid": {"noise"},  # in eval mode
    "rolss": {"stages"},  # of `ToyNet` one alone has a skip connection
    "trapmid": {"feature_model_loss", "smoothed_terms"},  # want another beside them
    "dpsgd": {"noise_multiplier", "max_grad_norm", "delta", "poisson"},  # of the optimiser
}


def steps_of(method: str, block: dict[str, Any]) -> dict[str, Any]:
    """What two epochs of three steps leave of network and objective."""
    made = wiring.defense(method, block, method)
    with runtime().seeded("adapt"):
        model = made.adapt(network(CLASSES)).train()
    target = made.objective(
        Setting(
            image_shape=(3, 8, 8),
            num_classes=CLASSES,
            new_network=network,
            new_optimizer=partial(fit.make_optimizer, plan()),
            rt=runtime(),
        )
    )
    sgd = fit.make_optimizer(plan(), model.parameters())
    with runtime().seeded("steps"):
        for count in range(6):
            x, y, _ = batch(count)
            sgd.zero_grad()
            target(model, x, y, Progress(count // 3, 2, count % 3, 3)).total.backward()
            sgd.step()
    learnt = target.state_dict()
    return snapshot(model) | {k: v for k, v in learnt.items() if isinstance(v, torch.Tensor)}


@pytest.mark.parametrize("method", wiring.names("defenses"))
def test_every_value_of_a_block_counts(method: str) -> None:
    """None is read and then forgotten: another value makes another training."""
    block = BLOCKS[method][1]
    wrong = sorted(set(block) ^ {*OTHER.get(method, {}), *ELSEWHERE.get(method, ())})
    assert not wrong, (
        f"OTHER in tests/defenses/test_defenses.py and the block of {method} differ by {wrong}"
    )
    usual = steps_of(method, block) if method in OTHER else {}
    for key, value in OTHER.get(method, {}).items():
        same = same_state(usual, steps_of(method, block | {key: value}))
        assert not same, key


@pytest.mark.parametrize("name", [n for n in ROWS if ROWS[n][0] not in ("dpsgd", "atat")])
def test_losses_are_in_float32_under_autocast(name: str) -> None:
    """Eight bits of a cross-entropy are too few: the logits are widened before it.

    The two that are left out refuse bf16.
    """
    parts = objective(name, precision="bf16")(adapted(name), *batch()).parts
    kinds = {part: value.dtype for part, value in parts.items()}
    assert kinds and set(kinds.values()) == {torch.float32}, kinds


@pytest.mark.parametrize(("epoch", "factor"), [(0, 0.0), (1, -0.05 / 3), (2, -0.1 / 3), (3, -0.05)])
def test_negls_is_the_smoothed_loss_of_its_epoch(epoch: int, factor: float) -> None:
    """Of four epochs, with the ramp of its row here from 1/4 to 3/4; the sign is the defence."""
    x, y, _ = batch()
    loss = objective("negls")(adapted("negls"), x, y, Progress(epoch, 4, 1, 5))
    likelihood = network(CLASSES).train()(x).logits.log_softmax(dim=1)
    own = (1 - factor) * likelihood[range(BATCH), y] + factor * likelihood.mean(dim=1)
    assert loss.total.item() == pytest.approx(-own.mean().item(), rel=1e-6)
