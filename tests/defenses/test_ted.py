"""TeD and TeD+: what the patches look like, and that nothing moves outside them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from toy import BLOCKS, TRAPMID, ToyNet, images, plan, runtime, seeded
from trapmid import wiring
from trapmid.training import fit, trapdoors
from trapmid.types import Progress, Setting, Trapdoor

CLASSES, SIZE = 40, 16


def setting(seed: int = 0) -> Setting:
    return Setting(
        image_shape=(3, SIZE, SIZE),
        num_classes=CLASSES,
        new_network=lambda outputs: seeded(ToyNet, outputs, SIZE, seed=outputs),
        new_optimizer=partial(fit.make_optimizer, plan()),
        rt=runtime(seed),
    )


def masks(trapdoor: Trapdoor) -> Tensor:
    assert trapdoor.masks is not None
    return trapdoor.masks


def test_a_pattern_is_squares_of_noise() -> None:
    trapdoor = trapdoors.patch_trapdoor(setting(), 0.2, squares=1, square=6)
    assert trapdoor.triggers.shape == (CLASSES, 3, SIZE, SIZE)
    assert trapdoor.triggers.min() >= 0 and trapdoor.triggers.max() <= 1
    corners = set()
    for key, mask in zip(trapdoor.triggers, masks(trapdoor), strict=True):
        rows, columns = mask[0].nonzero(as_tuple=True)
        corners.add((int(rows.min()), int(columns.min())))
        assert mask.sum() == 36 and len(set(rows.tolist())) == len(set(columns.tolist())) == 6
        assert (key * (1 - mask) == 0).all()
    assert len(corners) > 20  # of 121 places
    assert {0, SIZE - 6} <= {r for r, _ in corners} | {c for _, c in corners}  # edges included


def test_squares_have_a_mean_of_their_own_per_channel() -> None:
    """Were it per square, or one for all, the channels' averages would agree or repeat."""
    trapdoor = trapdoors.patch_trapdoor(setting(), 0.2, squares=1, square=6)
    averages = trapdoor.triggers.sum((2, 3)) / 36  # (C, 3)
    assert (averages.std(dim=0) > 0.1).all() and averages.std(dim=1).median() > 0.05
    inside = masks(trapdoor).bool().expand_as(trapdoor.triggers)
    assert trapdoor.triggers[inside].std() > 0.2


def test_pixels_of_a_square_differ_by_a_deviation_of_each_channel() -> None:
    trapdoor = trapdoors.patch_trapdoor(setting(), 0.2, squares=1, square=6)
    inside = masks(trapdoor).bool().expand_as(trapdoor.triggers)
    within = trapdoor.triggers[inside].view(CLASSES, 3, 36).std(dim=2)
    assert within.median() > 0.1
    # Were one deviation for all, only clipping would tell the channels apart.
    assert (torch.corrcoef(within.T) - torch.eye(3)).abs().max() < 0.5


def test_squares_that_overlap_add_up() -> None:
    """Each is in [0, 1] with a mean of about a half; the sum is clipped."""
    one, two = (
        trapdoors.patch_trapdoor(setting(), 0.2, squares, square=SIZE).triggers.mean()
        for squares in (1, 2)
    )
    assert one < 0.6 and two > 0.7


def test_overlapping_squares_are_one_mask() -> None:
    trapdoor = trapdoors.patch_trapdoor(setting(), 0.2, squares=5, square=10)
    sizes = masks(trapdoor).sum((1, 2, 3))
    assert set(masks(trapdoor).unique().tolist()) == {0.0, 1.0}
    assert (sizes < 5 * 100).all() and (sizes >= 100).all()


def test_the_blend_is_inside_the_mask() -> None:
    trapdoor = trapdoors.patch_trapdoor(setting(), 0.2, squares=2, square=3)
    x, y = images(5, size=SIZE), torch.arange(5)
    m = masks(trapdoor)[y]
    wanted = (1 - 0.2 * m) * x + 0.2 * m * trapdoor.triggers[y]
    assert torch.allclose(trapdoor(x, y), wanted, atol=1e-6)
    assert torch.equal(trapdoor(x, y)[(m == 0).expand_as(x)], x[(m == 0).expand_as(x)])


def test_the_seed_draws_the_patterns() -> None:
    one, same, other = (
        trapdoors.patch_trapdoor(setting(seed), 0.2, 2, 3).triggers for seed in (0, 0, 1)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize(("name", "moves"), [("ted", False), ("ted_plus", True)])
def test_what_moves(name: str, moves: bool) -> None:
    method, block = BLOCKS[name]
    target = wiring.defense(method, block, name).objective(setting())
    assert target.trapdoor is not None
    before = target.trapdoor.triggers.clone()
    model = seeded(ToyNet, CLASSES, SIZE).train()
    x, y = images(CLASSES, size=SIZE), torch.arange(CLASSES)
    with runtime().seeded("views"):
        for step in range(3):
            target(model, x, y, Progress(0, 1, step, 3)).total.backward()
    change = (target.trapdoor.triggers - before).abs()
    inside = masks(target.trapdoor).bool().expand_as(change)
    assert (change[~inside] == 0).all()
    assert bool((change[inside] > 0).any()) == moves
    if moves:  # three steps of 0.01 each, which may turn or be clipped
        assert 0.009 < change.max() < 0.031
        assert (change[inside] > 0).float().mean() > 0.3


def test_ted_plus_searches_as_trap_mid_does() -> None:
    """A square as large as the image is a trigger over all of it: then every step is the same."""
    block = BLOCKS["ted_plus"][1] | {"beta": 0.3, "hiding_weight": 0.3, "step_size": 0.02}
    whole = {"squares": 1, "square": SIZE, "augmentation": None}
    shared = ("alpha", "beta", "step_size", "until", "hiding_weight")
    trap = TRAPMID | {name: block[name] for name in shared} | {"augmentation": None}
    made = []
    for name, given in (("ted_plus", block | whole), ("trapmid", trap)):
        objective = wiring.defense(name, given, name).objective(setting())
        assert objective.trapdoor is not None
        start = torch.rand(CLASSES, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(4))
        objective.trapdoor.triggers.copy_(start)
        model = seeded(ToyNet, CLASSES, SIZE).train()
        optimizer = fit.make_optimizer(plan(), model.parameters())
        for step in range(3):
            batch, labels = images(8, seed=step, size=SIZE), torch.arange(8)
            loss = objective(model, batch, labels, Progress(0, 4, step, 3))
            optimizer.zero_grad()
            loss.total.backward()
            optimizer.step()
        assert not torch.equal(objective.trapdoor.triggers, start)
        made.append((objective.trapdoor.triggers, loss.total))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*made, strict=True))


def test_ted_mixes_with_its_weight() -> None:
    """The trapdoor's loss weighs beta, without augmentation: both halves of one forward."""
    method, block = BLOCKS["ted"]
    target = wiring.defense(method, block | {"beta": 0.3}, "ted").objective(setting())
    model = seeded(ToyNet, CLASSES, SIZE).train()
    loss = target(model, images(8, size=SIZE), torch.arange(8), Progress(0, 1, 0, 1))
    parts = loss.parts
    assert (
        parts["main_loss"] > 1.01 * parts["trapdoor_loss"]
    )  # so that it matters which weighs what
    assert torch.allclose(loss.total, 0.7 * parts["main_loss"] + 0.3 * parts["trapdoor_loss"])


@pytest.mark.parametrize("name", ["ted", "ted_plus"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": 2.0}, r"alpha: 2\.0 is outside \[0, 1\]"),
        ({"squares": 0}, r"squares: 0 is under 1"),
        ({"square": 17}, r"square: 17 is outside \[1, 16\]"),
    ],
)
def test_wrong_blocks_name_themselves(name: str, changes: dict[str, Any], message: str) -> None:
    method, block = BLOCKS[name]
    with pytest.raises(ValueError, match=message):
        wiring.defense(method, block | changes, name).objective(setting())
