"""Shared parts of GAN trainings."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from toy import Memory, images
from trapmid.nets.dcgan import Critic
from trapmid.training.gan import EndlessPasses, Passes, gradient_penalty, log_losses
from trapmid.types import DivergedError


def test_every_index_once_a_pass() -> None:
    passes = Passes(12, 4, seed=7)
    orders = []
    for number in range(4):
        batches = [passes.batch(3 * number + position) for position in range(3)]
        assert [len(batch) for batch in batches] == [4, 4, 4]
        order = torch.cat(batches).tolist()
        assert sorted(order) == list(range(12))
        orders.append(tuple(order))
    assert len(set(orders)) == 4


def test_a_pass_drops_its_partial_batch() -> None:
    passes = Passes(11, 4, seed=0)
    seen = torch.cat([passes.batch(0), passes.batch(1)]).tolist()
    assert len(set(seen)) == 8 and set(seen) <= set(range(11))
    assert not torch.equal(passes.batch(2), passes.batch(0))


def test_batches_do_not_depend_on_what_was_asked_before() -> None:
    used = Passes(10, 3, seed=1)
    batches = [used.batch(i) for i in range(9)]
    for index in (8, 0, 5, 5, 2):
        assert torch.equal(Passes(10, 3, seed=1).batch(index), batches[index])
        assert torch.equal(used.batch(index), batches[index])
    assert not torch.equal(Passes(10, 3, seed=2).batch(0), batches[0])


def test_a_batch_larger_than_the_data_is_the_data() -> None:
    assert sorted(Passes(3, 8, seed=0).batch(5).tolist()) == [0, 1, 2]


def test_endless_passes_run_across_their_borders() -> None:
    """Literally: one permutation after another, as an infinite sampler gives them."""
    orders = torch.cat([Passes(11, 11, seed=5).batch(number) for number in range(4)])
    endless = EndlessPasses(11, 4, seed=5)
    batches = [endless.batch(index).tolist() for index in range(11)]
    assert batches == orders.view(11, 4).tolist()
    for index in (10, 2, 5, 0):  # stateless, as passes are
        assert EndlessPasses(11, 4, seed=5).batch(index).tolist() == batches[index]
        assert endless.batch(index).tolist() == batches[index]


def test_469_batches_of_64_show_all_30000_images() -> None:
    endless, passes = EndlessPasses(30_000, 64, seed=0), Passes(30_000, 64, seed=0)
    shown = torch.cat([endless.batch(index) for index in range(469)])
    assert len(shown) == 469 * 64 and len(shown.unique()) == 30_000
    assert len(torch.cat([passes.batch(index) for index in range(468)]).unique()) == 29_952


def test_an_endless_batch_may_be_larger_than_the_data() -> None:
    batch = EndlessPasses(3, 8, seed=0).batch(1).tolist()  # numbers 8 to 15 of 012 012 012 ...
    assert len(batch) == 8 and sorted(batch[1:4]) == sorted(batch[4:7]) == [0, 1, 2]


def test_the_penalty_of_a_linear_critic_is_known() -> None:
    critic = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 1))
    real, fake = images(4), images(4, seed=1)
    wanted = (critic[1].weight.norm() - 1) ** 2
    found = gradient_penalty(critic, real, fake)
    assert torch.allclose(found, wanted.expand(4), rtol=1e-5)


def test_the_penalty_is_taken_per_image_at_random_points_between() -> None:
    torch.manual_seed(0)
    critic, real, fake = Critic(8, 4), images(3), images(3, seed=1)
    torch.manual_seed(5)
    share = torch.rand(3)
    torch.manual_seed(5)
    found = gradient_penalty(critic, real, fake)
    for i in range(3):
        point = (real[i] + share[i] * (fake[i] - real[i]))[None].requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(point).sum(), point)
        wanted = (slope.square().sum().sqrt() - 1) ** 2
        assert torch.allclose(found[i], wanted, rtol=1e-4)
    found.mean().backward()  # differentiable in the critic's weights
    assert all(p.grad is not None for p in critic.body.parameters() if p.dim() > 1)


@pytest.mark.parametrize(
    ("steps", "logged"), [(3, [1, 2, 3]), (100, range(1, 101)), (250, range(2, 251, 2))]
)
def test_a_curve_has_about_a_hundred_points(steps: int, logged: list[int]) -> None:
    checkpointer = Memory()
    for step in range(steps):
        log_losses(checkpointer, {"hinge": torch.tensor(step / 2)}, step, steps)
    assert checkpointer.rows == [{"step": n, "hinge": (n - 1) / 2} for n in logged]


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_loss_that_is_not_finite_stops_at_the_next_point(value: float) -> None:
    checkpointer = Memory()
    wrong = {"hinge": torch.tensor(1.0), "inversion": torch.tensor(value)}
    log_losses(checkpointer, wrong, 0, 250)  # not a point of the curve: nobody looks
    with pytest.raises(DivergedError, match=rf"^step 2 of 250: inversion is {value}: the training"):
        log_losses(checkpointer, wrong, 1, 250)
    assert checkpointer.rows == []
