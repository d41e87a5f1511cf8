"""Proposals of BREP-MI: all people in lock-step against one after the other."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import torch
from gpu.clock import Now
from gpu.study import World
from torch import Tensor

from bench.limit import counted
from bench.plain import labels as plain
from bench.timing import Clocked, Path
from trapmid import wiring
from trapmid.attacks.brepmi import Attack
from trapmid.runtime import Runtime
from trapmid.search import latents
from trapmid.types import InMemory, LabelsOnly, Prior, Saving, Target, Task

STARTS = {"init_batch": 32}  # latents among which every class is looked for; not timed
_NEVER = 10**9


class Found(NamedTuple):
    """What a search leaves, a row a person."""

    kept: Tensor  # (N, Z)
    radius: Tensor  # (N,)
    expansions: Tensor  # (N,)
    moves: Tensor  # (N,)


class _Beats(InMemory):
    """When each step of a search ended."""

    def __init__(self, now: Now) -> None:
        super().__init__()
        self._now, self.times = now, list[float]()

    def progress(self, done: int, total: int) -> None:
        self.times.append(self._now())

    def seconds(self) -> float:
        """Of all steps, by those after the first."""
        further = len(self.times) - 1
        return (self.times[-1] - self.times[0]) * len(self.times) / further if further else 0.0


@dataclass(frozen=True)
class Proposals:
    """Some proposals for the first so many people, by us and by the reference."""

    world: World
    people: int
    proposals: int
    changes: Mapping[str, Any] = field(default_factory=dict)  # of the attack's block

    def ours(self, now: Now) -> Clocked:
        beats, labels = _Beats(now), torch.arange(self.people)
        task = Task(labels=labels, draws=torch.zeros_like(labels), saving=Saving(beats, _NEVER))
        oracle = LabelsOnly(self._target)
        found = self._attack.invert(oracle, self._prior, task, self._rt)
        counts = found.counts
        result = Found(found.latents, -found.losses, counts["expansions"], counts["moves"])
        return Clocked(beats.seconds(), result)

    def reference(self, now: Now) -> Clocked:
        labels, rt = list(range(self.people)), self._rt
        begins = plain.starts(self._attack, self._target, self._prior, labels, rt.seed)
        of = torch.arange(self.people)
        keys = latents.row_keys(of, torch.zeros_like(of), rt.seed, "directions").tolist()
        every = [
            plain.Search(label, keys[label], begins[label], self._attack.radius, begins[label])
            for label in labels
        ]
        begun = now()
        for one in every:
            for _ in range(self.proposals):
                plain.propose(self._attack, self._target, self._prior, self._evaluator, one)
        seconds = now() - begun
        return Clocked(seconds, _found(every))

    def flops(self) -> float:
        """Of one proposal for all people: what two have more than one."""
        some = [Proposals(self.world, self.people, n, self.changes) for n in (1, 2)]
        counts = [counted(functools.partial(one.ours, lambda: 0.0)) for one in some]
        return counts[1] - counts[0]

    @functools.cached_property
    def _attack(self) -> Attack:
        block = self.world.study["attacks"]["brepmi"] | self.changes
        return cast(Attack, wiring.attack("brepmi", block | {"proposals": self.proposals}))

    @functools.cached_property
    def _target(self) -> Target:
        """Without training it would show a class or two: its head is levelled over the prior."""
        target, prior = self.world.target(self._rt), self._prior
        generator = self._rt.generator("level")
        z = torch.randn(256, prior.latent_dim, generator=generator).clamp(-1.5, 1.5)
        with torch.no_grad():
            logits = target(prior(z, torch.zeros(len(z), dtype=torch.int64))).logits
            bias = cast(Tensor, target.get_submodule(target.head[-1]).bias)
            bias -= logits.mean(dim=0)
        return target

    @functools.cached_property
    def _prior(self) -> Prior:
        return self.world.prior("gmi", self._rt).requires_grad_(False)

    @functools.cached_property
    def _evaluator(self) -> Target:
        rows = self.world.study["evaluators"]
        return self.world.network(next(iter(rows.values()))["arch"], self._rt)

    @property
    def _rt(self) -> Runtime:
        return self.world.runtime()


def paths(worlds: Mapping[str, World]) -> Iterator[Path]:
    """At the laptop's size: to find the first image of 1,000 people takes the paper's hours."""
    world = worlds["laptop"]
    proposals = Proposals(world, world.sizes.classes, 4, STARTS)
    yield Path(
        name="brepmi search, laptop",
        ours=proposals.ours,
        reference=proposals.reference,
        units=proposals.proposals,
        unit="step",
        flops=proposals.flops,
        note=f"a proposal for each of {proposals.people} people, {proposals._attack.points} points",
    )


def _found(every: list[plain.Search]) -> Found:
    return Found(
        torch.cat([one.kept for one in every]),
        torch.tensor([one.radius for one in every], dtype=torch.get_default_dtype()),
        torch.tensor([one.expansions for one in every]),
        torch.tensor([one.moves for one in every]),
    )
