"""An epoch of a surrogate's distillation."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from gpu.clock import Clock, Now
from gpu.study import World

from bench.limit import counted
from bench.plain import loading
from bench.plain import surrogates as plain
from bench.timing import Clocked, Path
from trapmid import wiring
from trapmid.nets.ensemble import Ensemble
from trapmid.runtime import Runtime
from trapmid.surrogates.distil import Surrogate
from trapmid.types import Target


@dataclass(frozen=True)
class Epochs:
    """Some epochs of all students from one start, by us and by the reference."""

    world: World
    epochs: int

    def ours(self, now: Now) -> Clocked:
        """The teacher answers once in a training: that counts for a share of these epochs."""
        rt, clock = self._rt, Clock(self.world.device, 0, now)
        students = rt.place(copy.deepcopy(self._start)).requires_grad_(True)
        self._how.fit(students, self._teacher, self._public.prepared, rt, clock)
        seconds = clock.seconds + clock.prepared * self.epochs / self.whole
        return Clocked(seconds, students.state_dict())

    def reference(self, now: Now) -> Clocked:
        students, teacher = copy.deepcopy(self._start), copy.deepcopy(self._teacher)
        public = self._public
        begun = now()
        plain.distil(
            self._how, students.requires_grad_(True), teacher, public, self._rt, self.epochs
        )
        return Clocked(now() - begun, students.state_dict())

    def flops(self) -> float:
        """Of one epoch of the students."""
        counts = [
            counted(functools.partial(Epochs(self.world, n).ours, lambda: 0.0)) for n in (1, 2)
        ]
        return counts[1] - counts[0]

    @property
    def whole(self) -> int:
        """Epochs of the profile."""
        return int(self._block["epochs"])

    @property
    def _block(self) -> dict[str, Any]:
        block: dict[str, Any] = self.world.study["surrogate_training"]["distil"]
        return block | self.world.sizes.small

    @functools.cached_property
    def _how(self) -> Surrogate:
        block = self._block | {"epochs": self.epochs, "milestones": []}
        return cast(Surrogate, wiring.surrogate("distil", block))

    @functools.cached_property
    def _start(self) -> Ensemble:
        return cast(Ensemble, self.world.students(self._rt))

    @functools.cached_property
    def _teacher(self) -> Target:
        return self.world.target(self._rt)

    @functools.cached_property
    def _public(self) -> loading.Pictures:
        return loading.pictures(self.world.sizes.public, self.world.sizes.image_size)

    @property
    def _rt(self) -> Runtime:
        return self.world.runtime()


def paths(worlds: Mapping[str, World]) -> Iterator[Path]:
    """Of the laptop's three students; EfficientNets draw dropout, student by student."""
    world = worlds["laptop"]
    epochs = Epochs(world, 1)
    yield Path(
        name="distillation of three students, laptop",
        ours=epochs.ours,
        reference=epochs.reference,
        unit="epoch",
        flops=epochs.flops,
        heavy=not world.book.toy,
        note=f"{world.sizes.public} public images, of {epochs.whole} epochs",
    )
