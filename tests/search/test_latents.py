"""The latent search against loops that do nothing but the recurrence."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from toy import ToyPrior, seeded
from trapmid.runtime import stream_seed
from trapmid.search import latents
from trapmid.types import DivergedError, Task

A = torch.diag(torch.tensor([3.0, 0.5, 1.0, 7.0], dtype=torch.float64))
B = torch.tensor([0.2, -3.0, 0.4, 0.1], dtype=torch.float64)


def quadratic(z: Tensor, step: int) -> Tensor:
    del step
    return 0.5 * ((z @ A) * z).sum(dim=1) - z @ B


def starts(n: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 2 * torch.randn(n, 4, generator=generator, dtype=torch.float64)


def literal_nesterov(start: list[float], steps: int, lr: float, momentum: float) -> list[float]:
    """Section 2.3 of the specification for one row, coordinate by coordinate."""
    z, v = list(start), [0.0] * 4
    for _ in range(steps):
        g = [A[i, i].item() * z[i] - B[i].item() for i in range(4)]
        for i in range(4):
            before = v[i]
            v[i] = momentum * before - lr * g[i]
            z[i] = min(1.0, max(-1.0, z[i] - momentum * before + (1 + momentum) * v[i]))
    return z


@pytest.mark.parametrize("reference_batch", [1, 4])
def test_nesterov_equals_the_recurrence(reference_batch: int) -> None:
    start = starts(3)
    z, loss = latents.nesterov(
        start, quadratic, steps=25, lr=0.02, momentum=0.9, reference_batch=reference_batch, bound=1
    )
    for row, found in zip(start.tolist(), z.tolist(), strict=True):
        wanted = literal_nesterov(row, 25, 0.02 / reference_batch, 0.9)
        assert found == pytest.approx(wanted, abs=1e-12)
    assert torch.equal(loss, quadratic(z, 25))
    assert z.abs().max() <= 1 and start.abs().max() > 1


def test_nesterov_sees_the_start_unclipped() -> None:
    seen: list[Tensor] = []

    def spy(z: Tensor, step: int) -> Tensor:
        seen.append(z.detach().clone())
        return quadratic(z, step)

    start = starts(5)
    latents.nesterov(start, spy, steps=2, lr=0.02, momentum=0.9, reference_batch=5, bound=1.0)
    assert torch.equal(seen[0], start)
    assert all(z.abs().max() <= 1 for z in seen[1:])


def official_batch(start: Tensor) -> Tensor:
    """The official step: autograd of the batch's mean."""
    z, v = start.clone(), torch.zeros_like(start)
    for _ in range(10):
        leaf = z.clone().requires_grad_(True)
        (g,) = torch.autograd.grad(quadratic(leaf, 0).mean(), leaf)
        before, v = v, 0.9 * v - 0.02 * g
        z = (z - 0.9 * before + 1.9 * v).clamp(-1, 1)
    return z


def test_merged_batches_equal_separate_ones_exactly() -> None:
    start = starts(24)
    merged, _ = latents.nesterov(
        start, quadratic, steps=10, lr=0.02, momentum=0.9, reference_batch=8, bound=1.0
    )
    separate = [
        latents.nesterov(
            part, quadratic, steps=10, lr=0.02, momentum=0.9, reference_batch=8, bound=1.0
        )[0]
        for part in start.split(8)
    ]
    assert torch.equal(merged, torch.cat(separate))
    official = torch.cat([official_batch(part) for part in start.split(8)])
    assert torch.allclose(merged, official, rtol=0, atol=1e-15)
    assert not torch.allclose(merged, official_batch(start), atol=1e-4)  # the defect avoided


def test_adam_equals_its_formula() -> None:
    start, reference_batch = starts(3), 5
    z, loss = latents.adam(start, quadratic, steps=12, lr=0.1, reference_batch=reference_batch)
    for row, found in zip(start.tolist(), z.tolist(), strict=True):
        for i in range(4):
            x, m, s = row[i], 0.0, 0.0
            for t in range(1, 13):
                g = (A[i, i].item() * x - B[i].item()) / reference_batch
                m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g
                x -= 0.1 * (m / (1 - 0.9**t)) / (math.sqrt(s / (1 - 0.999**t)) + 1e-8)
            assert found[i] == pytest.approx(x, abs=1e-12)
    assert torch.equal(loss, quadratic(z, 12))
    assert torch.equal(start, starts(3))  # the caller's start stays


def test_the_search_tells_its_iteration() -> None:
    seen: list[int] = []

    def spy(z: Tensor, step: int) -> Tensor:
        seen.append(step)
        return quadratic(z, step)

    latents.adam(starts(1), spy, steps=3, lr=0.1, reference_batch=1)
    latents.nesterov(starts(1), spy, steps=2, lr=0.1, momentum=0, reference_batch=1, bound=1)
    assert seen == [0, 1, 2, 3, 0, 1, 2]


def test_starts_depend_on_seed_label_and_draw_alone() -> None:
    labels, draws = torch.arange(6).repeat_interleave(4), torch.arange(4).repeat(6)
    z = latents.start(labels, draws, 7, seed=0)
    assert z.shape == (24, 7) and z.dtype == torch.float32
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    assert torch.equal(latents.start(labels[order], draws[order], 7, seed=0), z[order])
    assert torch.equal(latents.start(labels[5:6], draws[5:6], 7, seed=0), z[5:6])
    assert not torch.equal(latents.start(labels, draws, 7, seed=1), z)
    assert len({tuple(row) for row in z.tolist()}) == 24
    many = latents.start(torch.arange(2000), torch.zeros(2000, dtype=torch.int64), 3, seed=0)
    assert stats.kstest(many.flatten().numpy(), "norm").pvalue > 1e-3


def test_keys_differ_by_scope() -> None:
    labels = torch.arange(3)
    one = latents.row_keys(labels, labels, 0, "views")
    assert not torch.equal(one, latents.row_keys(labels, labels, 0, "latents"))
    assert one.dtype == torch.int64 and one.shape == (3,)


def test_what_was_found_answers_the_task() -> None:
    prior, labels = seeded(ToyPrior).eval(), torch.tensor([2, 0])
    task = Task(labels=labels, draws=torch.tensor([0, 5]))
    z = torch.ones(2, 5, requires_grad=True)
    answer = latents.Optimum(z.detach(), torch.tensor([0.5, -1.0])).reconstruction(prior, task)
    pixels = (prior.norm(z) + prior.shift(labels)) @ prior.linear.weight.T + prior.linear.bias
    assert torch.allclose(answer.images.flatten(1), pixels.sigmoid(), atol=1e-6)
    assert not answer.images.requires_grad
    assert torch.equal(answer.labels, labels) and answer.draws.tolist() == [0, 5]
    assert torch.equal(answer.latents, z) and answer.losses.tolist() == [0.5, -1.0]


def test_stream_keys_are_one_stream_a_row() -> None:
    labels, draws = torch.tensor([3, 3, 8]), torch.tensor([0, 1, 0])
    wanted = [stream_seed(5, "jitter order", draw) for draw in (0, 1, 0)]
    assert latents.stream_keys(5, "jitter order", draws).tolist() == wanted
    wanted = [stream_seed(5, "views", label, draw) for label, draw in ((3, 0), (3, 1), (8, 0))]
    assert latents.stream_keys(5, "views", labels, draws).tolist() == wanted
    assert latents.row_keys(labels, draws, 5, "views").tolist() == wanted


@pytest.mark.parametrize(("steps", "noticed"), [(8, 4), (100, 10)])
@pytest.mark.parametrize("name", ["adam", "nesterov"])
def test_a_search_that_diverges_stops(name: str, steps: int, noticed: int) -> None:
    """At the first of ten looks after the step, which is its fourth."""

    def loss(z: Tensor, step: int) -> Tensor:
        return quadratic(z, step) * torch.tensor([1.0, math.nan if step == 3 else 1.0, 1.0])

    words = rf"^step {noticed} of {steps}: 1 of 3 latents, and so their losses, are not finite"
    more = {} if name == "adam" else {"momentum": 0.9, "bound": 1.5}
    with pytest.raises(DivergedError, match=words):
        getattr(latents, name)(starts(3), loss, steps=steps, lr=0.01, reference_batch=1, **more)


def test_one_number_of_a_latent_that_is_not_finite_is_enough() -> None:
    z = torch.zeros(3, 4)
    latents.check_finite(z, 9, 10)
    z[1, 2] = torch.nan
    with pytest.raises(DivergedError, match="step 10 of 10: 1 of 3 latents"):
        latents.check_finite(z, 9, 10)
