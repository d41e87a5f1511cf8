"""KED-MI's search against what can be computed by hand (section 3.3 of the specification)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from trapmid.search import distribution
from trapmid.search.averaging import Streams
from trapmid.search.distribution import Objective
from trapmid.types import Task

Z = 3
LABELS = torch.tensor([7, 2, 7, 5, 2, 7])
DRAWS = torch.tensor([0, 0, 1, 0, 3, 2])
CENTRES = torch.tensor([[0.5, -0.3, 0.1], [2.0, -1.5, 0.0], [-0.2, 0.4, 3.0]])
ROW = {2: 0, 5: 1, 7: 2}
NO_STREAMS = Streams(LABELS, LABELS)


def bowl(z: Tensor, labels: Tensor, streams: Streams = NO_STREAMS) -> Tensor:
    """The squared distance from the label's centre."""
    centres = CENTRES[[ROW[label] for label in labels.tolist()]]
    return (z - centres).square().sum(dim=1)


def search(
    labels: Tensor = LABELS,
    draws: Tensor = DRAWS,
    objective: Objective = bowl,
    seed: int = 0,
    steps: int = 10,
    lr: float = 0.05,
    bound: float | None = None,
    reference_batch: int = 3,
) -> tuple[Tensor, Tensor]:
    return distribution.search(
        Task(labels=labels, draws=draws),
        objective,
        Z,
        seed,
        steps=steps,
        lr=lr,
        reference_batch=reference_batch,
        bound=bound,
    )


def many(count: int) -> tuple[Tensor, Tensor]:
    """So many draws of every label."""
    return torch.tensor([2, 5, 7]).repeat_interleave(count), torch.arange(count).repeat(3)


def test_it_starts_at_mean_0_and_variance_e() -> None:
    z, _ = search(*many(4000), steps=0)
    assert z.mean().item() == pytest.approx(0, abs=0.05)
    assert z.var().item() == pytest.approx(math.e, rel=0.03)


def test_it_finds_the_centre_and_loses_its_variance() -> None:
    """The expected bowl is |mu - centre|^2 + the sum of variances: least at no variance at all.

    One sample a step leaves the mean a noise of about 0.1 at this learning rate; the deviation
    starts at 1.65 and is at most 0.2 by then.
    """
    labels, draws = many(500)
    z, loss = search(labels, draws, steps=1000)
    means = torch.stack([z[labels == label].mean(dim=0) for label in (2, 5, 7)])
    assert torch.allclose(means, CENTRES, atol=0.2)
    assert (z - means.repeat_interleave(500, dim=0)).std() < 0.3
    assert torch.equal(loss, bowl(z, labels))


def test_nothing_holds_the_distribution_near_the_prior() -> None:
    """Without an objective that cares nothing moves: no divergence, no decay, no clipping."""
    still, _ = search(steps=0)
    moved, _ = search(steps=20, objective=lambda z, labels, streams: 0 * z.sum(dim=1))
    assert torch.equal(moved, still)
    assert still.abs().max() > 1


def test_the_objective_sees_one_latent_an_identity_and_fresh_ones_every_step() -> None:
    seen: list[tuple[Tensor, list[int]]] = []

    def spy(z: Tensor, labels: Tensor, streams: Streams) -> Tensor:
        seen.append((z.detach().clone(), labels.tolist()))
        return bowl(z, labels)

    search(objective=spy, steps=4, lr=1e-9)
    *searched, last = seen
    assert {tuple(labels) for _, labels in searched} == {(2, 5, 7)}
    assert last[1] == LABELS.tolist()
    samples = torch.cat([z for z, _ in searched])
    assert (torch.cdist(samples, samples) + torch.eye(len(samples))).min() > 1e-2


def test_a_row_depends_on_its_seed_label_and_draw_alone() -> None:
    z, loss = search()
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    shuffled, shuffled_loss = search(LABELS[order], DRAWS[order])
    assert torch.equal(shuffled, z[order]) and torch.equal(shuffled_loss, loss[order])
    for i in range(len(LABELS)):
        alone, its_loss = search(LABELS[i : i + 1], DRAWS[i : i + 1])
        assert torch.equal(alone[0], z[i]) and torch.equal(its_loss[0], loss[i])
    assert (torch.cdist(z, z) + torch.eye(len(z))).min() > 1e-2
    assert ((search(seed=1)[0] - z).norm(dim=1) > 1e-2).all()


def test_a_bound_clamps_the_samples_and_their_gradient() -> None:
    """LOMMA: what lies outside neither moves nor, at the end, stays there."""
    inside: list[bool] = []

    def spy(z: Tensor, labels: Tensor, streams: Streams) -> Tensor:
        inside.append(bool(z.detach().abs().max() <= 0.5))
        return bowl(z, labels)

    z, loss = search(*many(50), objective=spy, bound=0.5, steps=5)
    assert all(inside) and z.abs().max() == 0.5
    assert torch.equal(loss, bowl(z, many(50)[0]))
    # So narrow that no sample of a search falls inside: then nothing can move.
    narrow, started = (search(steps=steps, bound=1e-6)[0] for steps in (5, 0))
    assert torch.equal(narrow, started)
    free, _ = search(steps=5)
    assert not torch.equal(free, search(steps=0)[0])


@pytest.mark.parametrize("bound", [None, 1.0])
def test_the_search_is_adam_on_the_official_mean(bound: float | None) -> None:
    """One identity: Kingma and Ba's algorithm in plain floats, gradients by hand.

    Its normals are what the objective saw: z at a step of no size, before any variable moved.
    """
    steps, lr, label = 8, 0.05, torch.tensor([5])
    seen: list[list[float]] = []

    def spy(z: Tensor, labels: Tensor, streams: Streams) -> Tensor:
        seen.append((z.detach()[0] / math.exp(0.5)).tolist())
        return bowl(z, labels)

    search(label, label * 0, spy, steps=steps, lr=1e-12, reference_batch=1)
    *normals, at_the_end = [row for i, row in enumerate(seen) if i != steps]
    assert len(normals) == steps
    wanted = []
    for k in range(Z):
        x, m, v = [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]
        for step in range(steps):
            deviation = math.exp(x[1] / 2)
            z = x[0] + deviation * normals[step][k]
            slope = 2 * (z - CENTRES[1, k].item())
            if bound is not None and abs(z) > bound:
                slope = 0.0
            for i, g in enumerate((slope, slope * normals[step][k] * deviation / 2)):
                m[i] = 0.9 * m[i] + 0.1 * g
                v[i] = 0.999 * v[i] + 0.001 * g * g
                unbiased = math.sqrt(v[i] / (1 - 0.999 ** (step + 1)))
                x[i] -= lr * m[i] / (1 - 0.9 ** (step + 1)) / (unbiased + 1e-8)
        z = x[0] + math.exp(x[1] / 2) * at_the_end[k]
        wanted.append(z if bound is None else max(-bound, min(bound, z)))
    found, _ = search(label, label * 0, steps=steps, lr=lr, bound=bound, reference_batch=1)
    assert found[0].tolist() == pytest.approx(wanted, abs=1e-4)
