"""Iterations of the priors' trainings, images loaded as each side loads them."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from gpu.clock import Clock, Now, synchronize
from gpu.study import World

from bench.limit import counted
from bench.plain import loading
from bench.plain import priors as plain
from bench.timing import Clocked, Path
from trapmid import wiring
from trapmid.priors import gmi, kedmi, plgmi
from trapmid.runtime import Runtime
from trapmid.training.pseudo_labels import top_n
from trapmid.types import NOTHING, Prior, PriorTraining, Target

METHODS = ("plgmi", "gmi", "kedmi")


@dataclass(frozen=True)
class Iterations:
    """Some iterations of one prior from one start, by us and by the reference."""

    world: World
    method: str
    steps: int

    def ours(self, now: Now) -> Clocked:
        prior, rt = self._rt.place(copy.deepcopy(self._start)), self._rt
        clock = Clock(self.world.device, 0, now)
        public = self._public.prepared
        self._training.fit(prior, public, self._target, NOTHING, rt, clock)
        return Clocked(clock.seconds, prior.state_dict())

    def reference(self, now: Now) -> Clocked:
        prior, target = copy.deepcopy(self._start), copy.deepcopy(self._target)
        training, public, rt = self._training, self._public, self._rt
        if isinstance(training, gmi.Training):
            learn = partial(plain.wgan, training, cast(gmi.Prior, prior), public)
        elif isinstance(training, kedmi.Training):
            assert target is not None
            learn = partial(plain.classes, training, cast(kedmi.Prior, prior), public, target)
        else:
            assert isinstance(training, plgmi.Training)
            assert target is not None
            labelled = top_n(target, public.prepared, training.top_n, rt)
            of = cast(plgmi.Prior, prior)
            learn = partial(plain.conditional, training, of, public, labelled, target)
        synchronize(rt.device)
        begun = now()
        learn(rt, self.steps)
        synchronize(rt.device)
        return Clocked(now() - begun, prior.state_dict())

    def flops(self) -> float:
        """Of one iteration of ours: what further ones have more than the first."""
        more = self.steps + self._training_block["critic_steps"]
        counts = []
        for steps in (self.steps, more):
            one = Iterations(self.world, self.method, steps)
            counts.append(counted(partial(one.ours, lambda: 0.0)))
        return (counts[1] - counts[0]) / (more - self.steps)

    @functools.cached_property
    def _training_block(self) -> dict[str, Any]:
        return self.world.prior_block(self.method) | {"steps": self.steps}

    @functools.cached_property
    def _training(self) -> PriorTraining:
        return wiring.prior_training(self.method, self._training_block)

    @property
    def _rt(self) -> Runtime:
        return self.world.runtime()

    @functools.cached_property
    def _start(self) -> Prior:
        return self.world.prior(self.method, self._rt).requires_grad_(True)

    @functools.cached_property
    def _target(self) -> Target | None:
        return None if self.method == "gmi" else self.world.target(self._rt)

    @functools.cached_property
    def _public(self) -> loading.Pictures:
        return loading.pictures(self.world.sizes.public, self.world.sizes.image_size)


def paths(worlds: Mapping[str, World]) -> Iterator[Path]:
    """All three at both sizes."""
    for name, world in worlds.items():
        paper = name == "paper"
        for method in METHODS:
            steps = Iterations(world, method, _steps(world, method, paper=paper))
            yield Path(
                name=f"{method} prior, {name}",
                ours=steps.ours,
                reference=steps.reference,
                units=steps.steps,
                unit="iteration",
                flops=steps.flops,
                heavy=paper and not world.book.toy,
                note=f"batch {world.prior_block(method)['batch_size']}",
            )


def _steps(world: World, method: str, *, paper: bool) -> int:
    """A whole round of critic steps at least; of PLG-MI an iteration is one."""
    if method == "plgmi":
        return 1 if paper else 2
    critic: int = world.prior_block(method)["critic_steps"]
    return critic
