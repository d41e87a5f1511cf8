"""PPA's three phases: candidates, search, selection."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from gpu.clock import Clock, Now
from gpu.study import World
from torch import Tensor

from bench.limit import counted
from bench.plain import styles as plain
from bench.timing import Clocked, Path
from trapmid import wiring
from trapmid.attacks import ppa
from trapmid.config import params
from trapmid.priors import style
from trapmid.runtime import Runtime, eval_mode
from trapmid.search import latents
from trapmid.search.candidates import Candidates
from trapmid.types import Saving, Target, Task

_NEVER = 10**9


@dataclass(frozen=True)
class Phases:
    """All three on a small pool and some rows, by us and by the reference."""

    world: World
    pool: int  # latents that the target is asked about
    keep: int  # of each class
    rows: int  # images of the search and of the selection
    steps: int  # of the search

    def candidates(self, now: Now) -> Clocked:
        clock = Clock(self.world.device, 0, now)
        saving = Saving(clock, _NEVER)
        order = self._asked.order(self._prior, self._pool, self._target, self._rt, saving)
        return Clocked(clock.elapsed(), order)

    def published_candidates(self, now: Now) -> Clocked:
        begun = now()
        order = plain.candidates(self._asked, self._prior, self._pool, self._target)
        return Clocked(now() - begun, order)

    def search(self, now: Now) -> Clocked:
        clock = Clock(self.world.device, 0, now)
        found = self._attack.invert(self._target, self._started, self._task(clock), self._rt)
        return Clocked(clock.seconds, found.latents)

    def published_search(self, now: Now) -> Clocked:
        prior, task = self._started, self._task(None)
        begun = now()
        codes = plain.search(self._attack, self._target, prior, task, self._rt.seed)
        return Clocked(now() - begun, codes)

    def selection(self, now: Now) -> Clocked:
        """The images are there: they are what the search ends with."""
        with torch.no_grad(), eval_mode(self._target):
            images = self._started.paint(self._repeated(self._codes))
            begun = now()
            found = ppa.confidence(self._robustness, self._target, images, *self._views())
            return Clocked(now() - begun, found)

    def published_selection(self, now: Now) -> Clocked:
        prior, target = self._started, self._target
        begun = now()
        found = plain.confidence(self._robustness, target, prior, self._codes, *self._views())
        return Clocked(now() - begun, found)

    def flops(self, phase: str) -> float:
        """Of one call of a phase."""
        return counted(lambda: getattr(self, phase)(lambda: 0.0))

    def _views(self) -> tuple[Tensor, Tensor]:
        task = self._task(None)
        keys = latents.row_keys(task.labels, task.draws, self._rt.seed, "robustness")
        return task.labels, keys

    def _repeated(self, codes: Tensor) -> Tensor:
        return codes[:, None].expand(-1, self._started.num_styles, -1)

    def _task(self, clock: Clock | None) -> Task:
        index = torch.arange(self.rows)
        classes = self.world.sizes.classes
        more: dict[str, Any] = {} if clock is None else {"saving": Saving(clock, _NEVER)}
        return Task(labels=index % classes, draws=index // classes, **more)

    @functools.cached_property
    def _asked(self) -> Candidates:
        assert self._training.candidates is not None
        return self._training.candidates

    @functools.cached_property
    def _training(self) -> style.Training:
        study = self.world.study
        row = next(name for name in study["guided_priors"] if name.startswith("ppa-"))
        block = params.of_row(study, "guided_priors", row).plain()
        asked = block["candidates"] | {"pool": self.pool, "keep": self.keep}
        return cast(style.Training, wiring.prior_training("style", block | {"candidates": asked}))

    @functools.cached_property
    def _prior(self) -> style.Prior:
        """Random weights; its codes have no mean yet, and nothing was asked."""
        with self._rt.seeded("benchmark", "style"):
            prior = self._training.make(self.world.sizes.image_size, self.world.sizes.classes)
        return self._rt.place(prior).eval().requires_grad_(False)

    @functools.cached_property
    def _started(self) -> style.Prior:
        """The prior with the candidates of every class."""
        prior = self._prior
        prior.pool.copy_(torch.cat(list(self._pool)))
        prior.order.copy_(cast(Tensor, self.candidates(lambda: 0.0).result))
        return prior

    @functools.cached_property
    def _pool(self) -> tuple[Tensor, ...]:
        shape = self.pool, self._training.latent_dim
        pool = torch.randn(shape, generator=self._rt.generator("style", "pool"))
        return pool.to(torch.get_default_dtype()).split(self._training.batch_size)

    @functools.cached_property
    def _codes(self) -> Tensor:
        task = self._task(None)
        with torch.no_grad():
            return self._started.candidates(task.labels, task.draws)[:, 0].contiguous()

    @functools.cached_property
    def _attack(self) -> ppa.Attack:
        block = {**self.world.study["attacks"]["ppa"], "candidates": self.keep, "steps": self.steps}
        return cast(ppa.Attack, wiring.attack("ppa", block | {"robustness": None}))

    @functools.cached_property
    def _robustness(self) -> ppa.Robustness:
        block = self.world.study["attacks"]["ppa"]
        found = cast(ppa.Attack, wiring.attack("ppa", block)).robustness
        assert found is not None
        return found

    @functools.cached_property
    def _target(self) -> Target:
        return self.world.target(self._rt)

    @property
    def _rt(self) -> Runtime:
        return self.world.runtime()


def paths(worlds: Mapping[str, World]) -> Iterator[Path]:
    """On the laptop's small StyleGAN2."""
    world = worlds["laptop"]
    small = world.book.toy
    phases = Phases(world, *((12, 3, 6, 1) if small else (128, 10, 60, 2)))
    asked, searched = f"{phases.pool} latents", f"{phases.rows} images"
    for phase, reference, units, unit, note in (
        ("candidates", phases.published_candidates, 1, "pool", asked),
        ("search", phases.published_search, phases.steps, "step", searched),
        ("selection", phases.published_selection, 1, "selection", f"{searched}, 20 views of each"),
    ):
        yield Path(
            name=f"ppa {phase}, laptop",
            ours=getattr(phases, phase),
            reference=reference,
            units=units,
            unit=unit,
            flops=lambda phase=phase, units=units: phases.flops(phase) / units,  # type: ignore[misc]
            heavy=not small,
            note=note,
        )
