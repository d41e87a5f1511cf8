"""Steps of classifiers under each defence."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from gpu.clock import Now
from gpu.study import World
from torch import Tensor, nn

from bench.limit import counted
from bench.plain import training as plain
from bench.timing import Clocked, Path
from trapmid import wiring
from trapmid.defenses import bido, dpsgd, mid, trapmid
from trapmid.metrics.accuracy import balanced_labels
from trapmid.runtime import Runtime, bf16_is_native
from trapmid.training import fit, hiding
from trapmid.types import Defense, Objective, Progress, Setting, Target

DEFENSES = ("trapmid", "none", "bido", "mid", "dpsgd", "cheap trapmid")
CHEAP = {"free": True, "discriminator_width": 8, "search_every": 2}
"""What docs/defenses.md recommends for a cheaper search for Trap-MID's triggers."""


class Trained(NamedTuple):
    """What steps leave."""

    weights: Mapping[str, Tensor]
    triggers: Tensor | None
    critic: Mapping[str, Tensor] | None


@dataclass(frozen=True)
class Steps:
    """Some steps of one defence from one start, by us and by the reference."""

    world: World
    defense: str
    batch: int
    steps: int
    precision: str = "fp32"

    def ours(self, now: Now) -> Clocked:
        rt = self._rt
        model = rt.place(self._model()).train()
        objective = self._method.objective(self._setting)
        optimizer = objective.prepare(model, self._optimizer(model.parameters()))
        begun = now()
        with rt.seeded("fit", 0):
            for step in range(self.steps):
                images, labels = self._data(step)
                loss = objective(model, images, labels, Progress(0, 50, step, self.steps))
                optimizer.zero_grad(set_to_none=True)
                loss.total.backward()
                optimizer.step()
        return Clocked(now() - begun, _left(model, objective))

    def reference(self, now: Now) -> Clocked:
        model = self._model().train()
        if isinstance(self._method, trapmid.Defense):
            return self._trapmid(model, now)
        optimizer = self._optimizer(model.parameters())
        step_of = self._plain_step(model, optimizer)
        begun = now()
        with self._rt.seeded("fit", 0):
            for step in range(self.steps):
                step_of(*self._data(step))
        return Clocked(now() - begun, _left(model, None))

    def flops(self) -> float:
        """Of one step of ours; a mean where not every step searches for triggers."""
        method = self._method
        steps = method.search_every if isinstance(method, trapmid.Defense) else 1
        some = Steps(self.world, self.defense, self.batch, steps, "fp32")
        return counted(lambda: some.ours(lambda: 0.0)) / steps

    def _trapmid(self, model: Target, now: Now) -> Clocked:
        classes, size = self.world.sizes.classes, self.world.sizes.image_size
        triggers = torch.rand(classes, 3, size, size, generator=self._rt.generator("triggers"))
        defense = cast(trapmid.Defense, self._method)
        critic: nn.Module = self._network(1)
        if defense.discriminator_width is not None:
            critic = hiding.image_critic(self._setting, defense.discriminator_width)
        step_of = plain.TrapMidStep(defense, model, critic, triggers, self._optimizer)
        generator = self._rt.generator("target labels", 0)
        targets = balanced_labels(self.batch * self.steps, classes, generator).split(self.batch)
        begun = now()
        with self._rt.seeded("fit", 0):
            for step in range(self.steps):
                step_of(*self._data(step), targets[step])
        seconds = now() - begun
        return Clocked(seconds, Trained(model.state_dict(), triggers, critic.state_dict()))

    def _plain_step(
        self, model: Target, optimizer: torch.optim.Optimizer
    ) -> Callable[[Tensor, Tensor], object]:
        method = self._method
        if isinstance(method, bido.Defense):
            return partial(plain.bido, model, optimizer, block=method)
        if isinstance(method, mid.Defense):
            return partial(plain.mid, model, optimizer, weight=method.weight)
        if isinstance(method, dpsgd.Defense):
            given = {"most": method.max_grad_norm, "noise": method.noise_multiplier}
            return partial(plain.private, model, optimizer, **given)
        return partial(plain.classify, model, optimizer)

    @property
    def _rt(self) -> Runtime:
        return self.world.runtime(self.precision)

    @property
    def _setting(self) -> Setting:
        return Setting(
            image_shape=(3, self.world.sizes.image_size, self.world.sizes.image_size),
            num_classes=self.world.sizes.classes,
            new_network=lambda outputs: self._rt.place(self._network(outputs)),
            new_optimizer=self._optimizer,
            rt=self._rt,
        )

    @functools.cached_property
    def _method(self) -> Defense:
        if self.defense.startswith("cheap "):
            block = self.world.study["trapdoor"] | CHEAP
            return wiring.defense(self.defense.removeprefix("cheap "), block, "trapdoor")
        return self.world.defense(self.defense)

    def _model(self) -> Target:
        with self._rt.seeded("initial weights", "hardened"):
            return self._method.adapt(self._network(self.world.sizes.classes))

    def _network(self, outputs: int) -> Target:
        """Always the same one, in torch's default precision; drawn once, which takes a second."""
        if outputs not in self._drawn:
            with self._rt.seeded("benchmark", outputs):
                self._drawn[outputs] = self.world.new_network(outputs)
        return copy.deepcopy(self._drawn[outputs])

    @functools.cached_property
    def _drawn(self) -> dict[int, Target]:
        return {}

    def _optimizer(self, parameters: Any) -> torch.optim.Optimizer:
        return fit.make_optimizer(self.world.plan(batch_size=self.batch), parameters)

    def _data(self, step: int) -> tuple[Tensor, Tensor]:
        """Images in torch's default precision, and labels."""
        images = self.world.images(self.batch * (step + 1), self.world.device)[-self.batch :]
        labels = (torch.arange(self.batch) // 4 + step) % self.world.sizes.classes
        return images.to(torch.get_default_dtype()) / 255, labels


def paths(worlds: Mapping[str, World]) -> Iterator[Path]:
    """Trap-MID and none at both sizes, the other defences on the laptop's network."""
    for name, world in worlds.items():
        vgg = name == "paper"
        quick = world.book.toy
        batch = 8 if quick else 4 * world.sizes.small["batch_size"] if vgg else 64
        for defense in DEFENSES[: 2 if vgg else None]:
            steps = Steps(world, defense, batch, 1 if vgg or quick else 4)
            yield _path(f"{defense} step, {_called(world, vgg=vgg)}", steps, heavy=vgg)
            if bf16_is_native(world.device) and defense in DEFENSES[:2]:
                half = Steps(world, defense, batch, steps.steps, "bf16")
                title = f"{defense} step, {_called(world, vgg=vgg)}, bf16"
                yield _path(title, half, heavy=vgg, compared=False)


def _path(name: str, steps: Steps, *, heavy: bool, compared: bool = True) -> Path:
    return Path(
        name=name,
        ours=steps.ours,
        reference=steps.reference if compared else None,
        units=steps.steps,
        unit="step",
        flops=steps.flops,
        precision=steps.precision,
        heavy=heavy and not steps.world.book.toy,
        note=f"batch {steps.batch}",
    )


def _called(world: World, *, vgg: bool) -> str:
    arch = "VGG16" if vgg and not world.book.toy else "small VGG"
    return f"{arch}, {world.sizes.image_size} px"


def _left(model: Target, objective: Objective | None) -> Trained:
    trapdoor = None if objective is None else objective.trapdoor
    critic = None
    if objective is not None and trapdoor is not None:
        critic = cast(Any, objective).critics["image"].state_dict()
    triggers = None if trapdoor is None else trapdoor.triggers
    return Trained(model.state_dict(), triggers, critic)
