"""Latent searches: seconds for one image, of a step times the steps of the profile."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from gpu.clock import Clock, Now, synchronize
from gpu.searches import SEARCHES, searches_people
from gpu.study import World
from torch import Tensor

from bench.limit import counted
from bench.plain import searches as plain
from bench.timing import Clocked, Path
from trapmid import wiring
from trapmid.runtime import Runtime
from trapmid.search import latents
from trapmid.types import NOTHING, Attack, Prior, Saving, SideInformation, Target, Task

PUBLISHED: dict[str, Callable[..., Tensor]] = {
    "plgmi": plain.search_plgmi,
    "gmi": plain.search_gmi,
    "kedmi": plain.search_kedmi,
    "lomma_gmi": plain.search_lomma,
    "lomma_kedmi": plain.search_lomma_of_people,
}
_NEVER = 10**9


@dataclass(frozen=True)
class Search:
    """Some steps of one search for so many images, by us and by the reference."""

    world: World
    name: str
    images: int
    steps: int

    def ours(self, now: Now) -> Clocked:
        clock = Clock(self.world.device, 0, now)
        found = self._attack.invert(self._target, self._prior, self._task(clock), self._rt)
        return Clocked(clock.seconds, found.latents)

    def reference(self, now: Now) -> Clocked:
        device, task = self.world.device, self._task(None)
        given = self._attack, self._target, self._prior, task, self._rt.seed
        synchronize(device)
        begun = now()
        z = PUBLISHED[self.name](*given)
        synchronize(device)
        return Clocked(now() - begun, z)

    def images_at_once(self) -> Tensor:
        task = self._task(None)
        with torch.no_grad():
            return self._prior(self._latents(task), task.labels)

    def images_one_by_one(self) -> Tensor:
        task = self._task(None)
        z = self._latents(task)
        return torch.stack(list(plain.images_one_by_one(self._prior, z, task.labels)))

    def _latents(self, task: Task) -> Tensor:
        return latents.start(task.labels, task.draws, self._prior.latent_dim, self._rt.seed)

    def flops(self) -> float:
        """Of one image: all steps of the profile."""
        one, two = (Search(self.world, self.name, self.images, n) for n in (1, 2))
        counts = [counted(functools.partial(s.ours, lambda: 0.0)) for s in (one, two)]
        return (counts[1] - counts[0]) * self.whole / self.images

    @property
    def whole(self) -> int:
        """Steps of the profile."""
        method = SEARCHES[self.name][0]
        return int(self.world.study["attacks"][method]["steps"])

    @functools.cached_property
    def _attack(self) -> Attack:
        method, _, changes = SEARCHES[self.name]
        block = self.world.study["attacks"][method] | changes | {"steps": self.steps}
        return cast(Attack, wiring.attack(method, block))

    @functools.cached_property
    def _target(self) -> Target:
        return self.world.target(self._rt)

    @functools.cached_property
    def _prior(self) -> Prior:
        return self.world.prior(SEARCHES[self.name][1], self._rt).requires_grad_(False)

    @functools.cached_property
    def _known(self) -> SideInformation:
        if not self.name.startswith("lomma"):
            return NOTHING
        width = self._target.embedding_dim
        kind, device = torch.get_default_dtype(), self.world.device
        mean = torch.linspace(-1, 1, width, dtype=kind, device=device)
        return SideInformation(students=self.world.students(self._rt), feature_mean=mean)

    def _task(self, clock: Clock | None) -> Task:
        """Every class in turn; KED-MI searches once for all images of a class, so it has one."""
        index = torch.arange(self.images, device=self.world.device)
        classes = self.world.sizes.classes
        more: dict[str, Any] = {} if clock is None else {"saving": Saving(clock, _NEVER)}
        labels, draws = index % classes, index // classes
        return Task(labels=labels, draws=draws, side_information=self._known, **more)

    @property
    def _rt(self) -> Runtime:
        return self.world.runtime()


def paths(worlds: Mapping[str, World]) -> Iterator[Path]:
    """All of them at both sizes; then what a search saves."""
    for name, world in worlds.items():
        paper = name == "paper"
        for search in PUBLISHED:
            images = world.sizes.reconstructed
            if searches_people(search):
                images = min(images, world.sizes.classes)
            steps = Search(world, search, images, 1 if paper else 4)
            yield Path(
                name=f"{search} search, {name}",
                ours=steps.ours,
                reference=steps.reference,
                units=steps.steps,
                unit="step",
                flops=lambda steps=steps: steps.flops() * steps.images / steps.whole,  # type: ignore[misc]
                heavy=paper and not world.book.toy,
                note=f"{images} images, {steps.whole} steps a search",
            )
        yield _saving(f"images of a search, {name}", world)


def _saving(name: str, world: World) -> Path:
    """What is left of a search are its images."""
    search = Search(world, "gmi", world.sizes.reconstructed, 1)
    return Path(
        name=name,
        ours=lambda now: search.images_at_once(),
        reference=lambda now: search.images_one_by_one(),
        unit="batch",
        note=f"{search.images} images of GMI's prior",
    )
