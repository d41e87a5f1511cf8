"""Iterations of the priors that attackers train, and what goes before the first."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from gpu.clock import Clock, paced, peak_memory
from gpu.results import Book, Measure, Row, row
from gpu.study import World, numerics
from trapmid import wiring
from trapmid.types import NOTHING

METHODS = {"plgmi": 2, "gmi": 1, "kedmi": 1}
"""Method -> how many times the steps of `Sizes`."""


def measurements(book: Book) -> dict[str, Measure]:
    world = World(book)
    return {method: partial(_iterations, world, method) for method in METHODS}


def _iterations(world: World, method: str) -> Iterator[Row]:
    clocks: list[Clock] = []
    block = world.prior_block(method)
    warm = block["critic_steps"]  # one step of the generator is among them

    def run(steps: int) -> float:
        clock = Clock(world.device, warm)
        training = wiring.prior_training(method, block | {"steps": steps + warm})
        target = None if method == "gmi" else world.target(rt)
        training.fit(world.prior(method, rt), public, target, NOTHING, rt, clock)
        clocks.append(clock)
        return clock.seconds

    with numerics("default") as precision, peak_memory(world.device) as peak:
        rt = world.runtime(precision)
        public = world.images(world.sizes.public, rt.device).cpu()  # where a stage has them
        wanted = METHODS[method] * world.sizes.steps
        steps, seconds = paced(run, wanted, min(10, wanted), world.sizes.seconds)
        about = {"precision": "default", "batch_size": block["batch_size"]}
        yield row("iteration", seconds / steps, "s", measured_steps=steps, **about)
        whole = seconds / steps * block["steps"]
        yield row("whole training", whole / 60, "min", steps=block["steps"], **about)
        yield row("before the first iteration", clocks[-1].prepared, "s", images=len(public))
        yield row("peak memory", peak(), "MB", **about)
