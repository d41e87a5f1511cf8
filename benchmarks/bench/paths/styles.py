"""PPA's three phases, candidates, search and selection, and IF-GMI's search."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from gpu.clock import Clock, Now
from gpu.study import World
from gpu.styles import SMALLER, Track
from torch import Tensor

from bench.limit import counted
from bench.plain import styles as plain
from bench.timing import Clocked, Path
from trapmid.attacks import ifgmi, ppa
from trapmid.priors import style
from trapmid.runtime import Runtime, eval_mode
from trapmid.search import latents
from trapmid.search.candidates import Candidates
from trapmid.types import BlockPrior, Saving, Target, Task

_NEVER = 10**9


@dataclass(frozen=True)
class Phases:
    """All of them on a small pool and some rows, by us and by the reference."""

    world: World
    pool: int  # latents that the target is asked about
    keep: int  # of each class
    rows: int  # images of the search and of the selection
    steps: int  # of the search; of IF-GMI's codes
    views: int = 20  # of an image, in the selection
    deep: int = 1  # steps of each of IF-GMI's layers after the codes

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

    def layers(self, now: Now) -> Clocked:
        clock = Clock(self.world.device, 0, now)
        found = self._through_layers.invert(self._target, self._blocks, self._task(clock), self._rt)
        return Clocked(clock.seconds, found.images)

    def published_layers(self, now: Now) -> Clocked:
        prior, task, attack = self._blocks, self._task(None), self._through_layers
        with torch.no_grad():
            if attack.candidates is None:
                z = latents.start(task.labels, task.draws, prior.latent_dim, self._rt.seed)
                codes = prior.codes(z)
            else:
                codes = self._codes
        begun = now()
        images = plain.search_layers(attack, self._target, prior, codes, task, self._rt.seed)
        return Clocked(now() - begun, images)

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

    @property
    def _track(self) -> Track:
        return Track(self.world)

    @functools.cached_property
    def _training(self) -> style.Training:
        return self._track.training(self.pool, self.keep)

    @functools.cached_property
    def _prior(self) -> style.Prior:
        """Random weights; its codes have no mean yet, and what it was asked is replaced."""
        return self._track.prior(self.pool, self.keep, self._rt)

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
        changes = {"candidates": self.keep, "steps": self.steps, "robustness": None}
        return cast(ppa.Attack, self._track.attack("ppa", **changes))

    @functools.cached_property
    def _robustness(self) -> ppa.Robustness:
        found = cast(ppa.Attack, self._track.attack("ppa")).robustness
        assert found is not None
        return replace(found, views=self.views)

    @functools.cached_property
    def _through_layers(self) -> ifgmi.Attack:
        """The laptop's searches GMI's prior from random latents, the paper's a StyleGAN2."""
        block = self.world.study["attacks"]["ifgmi"]
        kept = None if block["candidates"] is None else self.keep
        layers = [one | {"steps": self.deep} for one in block["layers"]]
        changes = {"candidates": kept, "steps": self.steps, "layers": layers}
        return cast(ifgmi.Attack, self._track.attack("ifgmi", **changes))

    @functools.cached_property
    def _blocks(self) -> BlockPrior:
        if self._through_layers.candidates is not None:
            return self._started
        return cast(BlockPrior, self.world.prior("gmi", self._rt).requires_grad_(False))

    @functools.cached_property
    def _target(self) -> Target:
        return self._track.target(self._rt)

    @property
    def _rt(self) -> Runtime:
        return self.world.runtime()


def paths(worlds: Mapping[str, World]) -> Iterator[Path]:
    """On the laptop's small StyleGAN2, and at the paper's size on one of 256 pixels."""
    laptop = worlds["laptop"]
    if laptop.book.toy:
        yield from _phases("laptop", Phases(laptop, pool=12, keep=3, rows=6, steps=1))
        return
    yield from _phases("laptop", Phases(laptop, pool=128, keep=10, rows=60, steps=2))
    paper = World(worlds["paper"].book, SMALLER)
    yield from _phases("paper", Phases(paper, pool=2, keep=1, rows=2, steps=1, views=2))


def _phases(name: str, phases: Phases) -> Iterator[Path]:
    layers = len(phases.world.study["attacks"]["ifgmi"]["layers"])
    deep, searched = phases.steps + phases.deep * layers, f"{phases.rows} images"
    for path, phase, units, unit, note in (
        ("ppa candidates", "candidates", 1, "pool", f"{phases.pool} latents"),
        ("ppa search", "search", phases.steps, "step", searched),
        ("ppa selection", "selection", 1, "selection", f"{searched}, {phases.views} views of each"),
        ("ifgmi search", "layers", deep, "step", f"{searched}, codes and {layers} layers"),
    ):
        yield Path(
            name=f"{path}, {name}",
            ours=getattr(phases, phase),
            reference=getattr(phases, f"published_{phase}"),
            units=units,
            unit=unit,
            flops=lambda phase=phase, units=units: phases.flops(phase) / units,  # type: ignore[misc]
            heavy=not phases.world.book.toy,
            once=name == "paper",
            note=note,
        )
