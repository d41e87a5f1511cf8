"""Minibatch discrimination where it wakes, sleeps and must not look (T6).

Shapes and numbers of parameters are in tests/priors/test_kedmi.py.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from toy import images, seeded
from trapmid.nets.minibatch import KERNEL, ClassDiscriminator, Closeness


def loop(features: Tensor, kernels: Tensor) -> Tensor:
    """o_ib = sum over j != i of exp(-|M_ib - M_jb|_1), pair by pair."""
    matrices = torch.einsum("nf,fok->nok", features, kernels)
    rows = []
    for i, mine in enumerate(matrices):
        others = [theirs for j, theirs in enumerate(matrices) if j != i]
        rows.append(sum(torch.exp(-(mine - theirs).abs().sum(dim=1)) for theirs in others))
    return torch.stack([torch.as_tensor(row) for row in rows])


def test_where_it_is_alive_its_gradients_are_the_loop_s() -> None:
    layer = seeded(Closeness, 6, 3).train()
    features = (
        0.01 * torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    ).requires_grad_()
    weights = torch.arange(15.0).view(5, 3)
    found, wanted = layer(features), loop(features, layer.kernels)
    assert wanted.min() > 0.01
    assert torch.allclose(found, wanted, atol=1e-5)
    inputs = [features, layer.kernels]
    mine, theirs = (torch.autograd.grad((o * weights).sum(), inputs) for o in (found, wanted))
    for a, b in zip(mine, theirs, strict=True):
        assert b.abs().max() > 0.1 and torch.allclose(a, b, rtol=1e-3, atol=1e-3)


def test_copies_count_each_other_and_give_finite_gradients() -> None:
    """Of four copies each sees three; no distance has a kink that makes a NaN."""
    layer = seeded(Closeness, 6, 3).train()
    features = torch.ones(4, 6).requires_grad_()
    close = layer(features)
    assert torch.equal(close, torch.full((4, 3), 3.0))
    for slope in torch.autograd.grad(close.sum(), [features, layer.kernels]):
        assert slope.isfinite().all()


def test_one_near_copy_wakes_only_its_pair() -> None:
    network = seeded(ClassDiscriminator, 5, 32, 16).train()
    x = images(5, size=32)
    x = torch.cat([x, x[:1] + 1e-7])
    close = network.closeness(network.features(x))
    assert (close[[0, 5]] > 0).all() and torch.equal(close[1:5], torch.zeros(4, 16))


@pytest.mark.parametrize("training", [True, False])
def test_random_batches_leave_the_kernels_as_they_are(training: bool) -> None:
    """Dead to the last bit: Adam moves every other parameter and none of the kernels."""
    network = seeded(ClassDiscriminator, 5, 32, 16).train(training)
    before = network.closeness.kernels.detach().clone()
    head = network.head.weight.detach().clone()
    adam = torch.optim.Adam(network.parameters(), lr=0.01)
    for step in range(3):
        adam.zero_grad()
        network(images(8, seed=step, size=32)).logsumexp(dim=1).sum().backward()
        adam.step()
    assert torch.equal(network.closeness.kernels, before)
    assert not torch.equal(network.head.weight[:, :-16], head[:, :-16])
    assert before.shape[2] == KERNEL


def test_in_eval_mode_a_copy_beside_it_changes_nothing() -> None:
    network, x = seeded(ClassDiscriminator, 5, 16, 4), images(1, size=16)
    twice = x.expand(2, -1, -1, -1)
    alone, beside = network.eval()(x), network(twice)
    assert torch.allclose(beside, alone.expand(2, -1), atol=1e-5)
    assert not torch.allclose(network.train()(twice), beside, atol=1e-3)


@pytest.mark.parametrize("size", [8, 20, 28, 32, 48])
def test_other_sizes(size: int) -> None:
    network = seeded(ClassDiscriminator, 7, size, 4)
    assert network(images(3, size=size)).shape == (3, 7)
