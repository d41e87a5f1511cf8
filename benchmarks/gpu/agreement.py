"""Whether the GPU computes what the CPU does, and the same twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial

import torch
from torch import Tensor

from gpu.results import Book, Measure, Row, row
from gpu.study import World, numerics
from trapmid import wiring
from trapmid.training import classifier
from trapmid.types import InMemory, Target, Task

State = Mapping[str, Tensor]


def measurements(book: Book) -> dict[str, Measure]:
    world = World(book)
    return {
        "step as on the CPU": partial(_as_on_the_cpu, world),
        "training twice": partial(_training_twice, world),
        "search alone or among others": partial(_alone, world),
    }


def _as_on_the_cpu(world: World) -> Iterator[Row]:
    """One step of Trap-MID from the same start: how far the weights end apart.

    In units of the step itself. Triggers move by signs, so a pixel whose slope is all but zero may
    move the other way: hence the share of such pixels.
    """
    start, expected = _trained(world, torch.device("cpu"), "fp32", 1)
    moved = _distance(expected, start)
    for name in ("fp32", "default", "bf16"):
        _, found = _trained(world, world.device, name, 1)
        weights = [key for key in start if key != "triggers"]
        most = max(float((found[key] - expected[key]).abs().max()) for key in weights)
        yield row(f"{name}: weights apart", _distance(found, expected) / moved, "of the step")
        yield row(f"{name}: largest difference of a weight", most, "", precision=name)
        other = (found["triggers"] - expected["triggers"]).abs() > 1e-4
        yield row(f"{name}: trigger pixels apart", float(other.double().mean()), "share")


def _training_twice(world: World) -> Iterator[Row]:
    steps = 2 if world.book.toy else 20
    for deterministic in (False, True):
        with _kernels(deterministic):
            one, other = (_trained(world, world.device, "default", steps)[1] for _ in range(2))
        words = "deterministic cuDNN" if deterministic else "as shipped"
        equal = all(torch.equal(one[key], other[key]) for key in one)
        yield row(f"{words}: equal bit for bit", equal, "", steps=steps)
        yield row(f"{words}: weights apart", _distance(one, other), "", steps=steps)


def _alone(world: World) -> Iterator[Row]:
    """Eight rows of GMI's search by themselves, again, and among others."""
    rt = world.runtime()
    target, prior = world.target(rt), world.prior("gmi", rt)
    attack = wiring.attack("gmi", world.study["attacks"]["gmi"] | {"steps": world.sizes.steps})

    def latents(count: int) -> Tensor:
        labels = torch.arange(count, device=rt.device) % world.sizes.classes
        draws = torch.arange(count, device=rt.device) // world.sizes.classes
        return attack.invert(target, prior, Task(labels=labels, draws=draws), rt).latents[:8]  # type: ignore[arg-type]

    with numerics("default"):
        alone, again, among = latents(8), latents(8), latents(16 if world.book.toy else 250)
    yield row("again: equal bit for bit", torch.equal(alone, again), "", steps=world.sizes.steps)
    apart = (alone - among).abs().max()
    yield row("among others: largest difference", float(apart), "of a latent in [-1, 1]")


def _trained(world: World, device: torch.device, name: str, steps: int) -> tuple[State, State]:
    """Weights and triggers before and after so many steps of Trap-MID, on the CPU."""
    starts: list[State] = []

    def network(outputs: int) -> Target:
        made = world.new_network(outputs)
        starts.append({key: value.clone() for key, value in made.state_dict().items()})
        return made

    plan = world.plan(epochs=1)
    splits = world.splits(steps * plan.batch_size, device)
    with numerics(name) as precision:
        rt = world.runtime(precision, device)
        done = classifier.train(world.defense("trapmid"), network, splits, plan, rt, InMemory())
    assert done.objective.trapdoor is not None
    end = {**done.model.state_dict(), "triggers": done.objective.trapdoor.triggers}
    floats = {k: v.detach().cpu() for k, v in end.items() if v.is_floating_point()}
    return {k: v for k, v in starts[0].items() if v.is_floating_point()}, floats


def _distance(one: State, other: State) -> float:
    """The Euclidean distance of two sets of weights; statistics of batches count as such."""
    shared = [key for key in one if key in other and key != "triggers"]
    return float(sum((one[k].double() - other[k].double()).square().sum() for k in shared) ** 0.5)


def _kernels(deterministic: bool) -> AbstractContextManager[object]:
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=deterministic, allow_tf32=True
    )
