"""The high-resolution track: PPA's three phases and IF-GMI on a StyleGAN2, target at 224 pixels.

Generator and target have random weights; what the target prefers is drawn, not asked, before a
search. ResNet-152 is timm's or, without timm, torchvision's: the same layers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any, cast

import torch
from bench.limit import counted
from torch import Tensor
from torchvision.models import resnet152

from gpu.clock import Clock, paced, peak_memory, synchronize
from gpu.results import Book, Measure, Row, row
from gpu.searches import NEVER
from gpu.study import Sizes, World, numerics
from trapmid import wiring
from trapmid.attacks import ppa
from trapmid.config import params
from trapmid.config.study import Inversion
from trapmid.priors import style
from trapmid.runtime import Runtime, eval_mode
from trapmid.search import latents
from trapmid.search.inversion import invert_all
from trapmid.types import NOTHING, Attack, InMemory, Output, Saving, Target, Task

PAPER = Sizes("paper_highres", 1000, 224, 0, 0, 200_000, 40, 8.0, {}, {}, "_resnet152")
"""StyleGAN2 at 1,024 pixels, as the paper's."""
SMALLER = PAPER._replace(narrow={"generated": 256, "base": 16384})
"""StyleGAN2 at 256 pixels, in which the steps of docs/reproduce.md were run."""
TOY = Sizes("attacks", 8, 32, 0, 0, 4, 2, 0.2, {}, {})
_CANDIDATES = 25  # of each class, in the search that is timed


def measurements(book: Book) -> dict[str, Measure]:
    """The smaller generator first: a step of the paper's has three times its work."""
    smaller, paper = (Track(World(book, TOY if book.toy else s)) for s in (SMALLER, PAPER))
    return {
        "ppa search, 256 pixels": partial(_search, smaller, "ppa", None),
        "ppa search, 1024 pixels": partial(_search, paper, "ppa", None),
        "ppa selection": partial(_selection, smaller),
        "ppa candidates, 256 pixels": partial(_candidates, smaller),
        "ifgmi search, 256 pixels": partial(_search, smaller, "ifgmi", None),
        "ppa search filled, 256 pixels": partial(_filled, smaller),
        "ppa candidates, 1024 pixels": partial(_candidates, paper),
        "ifgmi search, 1024 pixels": partial(_search, paper, "ifgmi", None),
    }


@dataclass(frozen=True)
class Track:
    """Prior, target and attacks of one size."""

    world: World

    def training(self, pool: int, keep: int) -> style.Training:
        """The profile's StyleGAN2, of which a target is asked about so many latents."""
        study = self.world.study
        name = next(name for name in study["guided_priors"] if name.startswith("ppa-"))
        block = params.of_row(study, "guided_priors", name).plain() | self.world.sizes.narrow
        asked = block["candidates"] | {"pool": pool, "keep": keep}
        return cast(style.Training, wiring.prior_training("style", block | {"candidates": asked}))

    def prior(self, pool: int, keep: int, rt: Runtime) -> style.Prior:
        """Random weights, and favourites of every class that are drawn from random latents."""
        training, sizes = self.training(pool, keep), self.world.sizes
        with rt.seeded("benchmark", "style"):
            prior = training.make(sizes.image_size, sizes.classes)
            prior.pool.copy_(torch.randn(pool, training.latent_dim))
            prior.order.copy_(torch.randint(pool, (sizes.classes, keep)))
        return rt.place(prior).eval().requires_grad_(False)

    def target(self, rt: Runtime) -> Target:
        """The profile's ResNet-152; the toy's target in a toy run."""
        if self.world.book.toy or find_spec("timm") is not None:
            return self.world.target(rt)
        with rt.seeded("benchmark", "resnet152"):
            network = TorchvisionResNet152(self.world.sizes.classes)
        return rt.place(network).eval().requires_grad_(False)

    def at_once(self, block: Mapping[str, Any]) -> int:
        """Images of one batch of the paper's."""
        return min(int(block["reference_batch"]), self.world.sizes.reconstructed)

    def attack(self, name: str, **changes: Any) -> Attack:
        """`name` as in the profile, but for `changes`."""
        return cast(Attack, wiring.attack(name, self.world.study["attacks"][name] | changes))

    def task(self, count: int, rt: Runtime, clock: Clock | None) -> Task:
        """So many images: every class in turn, then its next candidate."""
        index, classes = torch.arange(count, device=rt.device), self.world.sizes.classes
        more: dict[str, Any] = {} if clock is None else {"saving": Saving(clock, NEVER)}
        return Task(labels=index % classes, draws=index // classes, **more)


class TorchvisionResNet152(Target):
    """For a machine without timm; blocks begin as the identity, as timm has them."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.network = resnet152(num_classes=num_classes, zero_init_residual=True)

    def forward(self, images: Tensor) -> Output:
        logits: Tensor = self.network(2 * images - 1)
        return Output(logits, logits)


class Repeats:
    """What a phase does again and again, e.g. steps, on so many images at once.

    Args:
        run: makes so many repeats and returns the seconds that they took.
        images: at once.
        whole: images times repeats of an attack on everybody.
        what: a repeat is called.
    """

    def __init__(
        self, run: Callable[[int], float], images: int, whole: float, what: str, steps: int = 1
    ) -> None:
        self._run, self._images, self._whole = run, images, whole
        self._what, self._steps = what, steps  # steps: of a repeat

    def rows(self, world: World, note: str) -> Iterator[Row]:
        """Seconds, images a second, multiplications, their rate, memory and hours of it all."""
        sizes = world.sizes
        with peak_memory(world.device) as peak:
            trial = 1 if self._steps > 1 else 2
            repeats, seconds = paced(self._run, sizes.steps, trial, sizes.seconds)
            memory = peak()
        each = seconds / repeats / self._steps
        about = {"precision": "default", "batch_size": self._images}
        about |= {"measured_steps": repeats * self._steps}
        work = self.work()
        yield row(self._what, each, "s", **about)
        yield row("images", self._images / each, "1/s", **about)
        yield row("work", work / 1e9, "GMAC", note=f"counted; a {self._what} of one image")
        yield row("rate", work * self._images / each / 1e12, "TMAC/s", **about)
        yield row("peak memory", memory, "MB", **about)
        hours = self._whole * each / self._images / 3600
        yield row("whole attack", hours, "h", note=f"{note}, extrapolated", **about)

    def work(self) -> float:
        """Multiplications of one image and step: what two repeats have more than one."""
        once, twice = (counted(partial(self._run, repeats)) for repeats in (1, 2))
        return (twice - once) / 2 / self._images / self._steps


def _search(track: Track, name: str, count: int | None) -> Iterator[Row]:
    """PPA's or IF-GMI's search of `count` images; None: as many as one batch of the paper's."""
    block = track.world.study["attacks"][name]
    each = block["candidates"] or 1
    count = count or track.at_once(block)
    with numerics("default") as precision:
        repeats = searching(track, name, count, track.world.runtime(precision))
        steps = block["steps"] + sum(one["steps"] for one in block.get("layers", ()))
        note = f"{track.world.sizes.classes} people, {each} candidates, {steps} steps"
        yield from repeats.rows(track.world, note)


def searching(track: Track, name: str, count: int, rt: Runtime) -> Repeats:
    """Steps of a search; a repeat of IF-GMI's has steps of every layer, as many as in the whole."""
    block, classes = track.world.study["attacks"][name], track.world.sizes.classes
    kept = -(-count // classes)
    target, prior = track.target(rt), track.prior(max(_CANDIDATES, kept), kept, rt)
    changes: dict[str, Any] = {"candidates": kept}
    if name == "ppa":
        changes |= {"robustness": None}
    parts = [block["steps"], *(one["steps"] for one in block.get("layers", ()))]
    least = [part // math.gcd(*parts) for part in parts]

    def run(repeats: int) -> float:
        clock = Clock(rt.device, 0)
        steps: dict[str, Any] = {"steps": repeats * least[0]}
        if name == "ifgmi":
            layers = zip(block["layers"], least[1:], strict=True)
            steps["layers"] = [one | {"steps": repeats * part} for one, part in layers]
        attack = track.attack(name, **changes | steps)
        attack.invert(target, prior, track.task(count, rt, clock), rt)
        return clock.seconds

    whole = classes * (block["candidates"] or 1) * sum(parts)
    return Repeats(run, count, whole, "step", sum(least))


def _filled(track: Track) -> Iterator[Row]:
    """As many images at once as `invert_all` finds room for."""
    with numerics("default") as precision:
        rt = track.world.runtime(precision)
        attack = track.attack("ppa", candidates=1, steps=1, robustness=None)
        plan = Inversion(images_per_class=1, batch_size=None, keep_every=NEVER)
        target, prior = track.target(rt), track.prior(_CANDIDATES, 1, rt)
        found = invert_all(attack, target, prior, NOTHING, plan, rt, InMemory())
    yield row("images searched at once", found.batch_size, "", precision="default")
    yield from _search(track, "ppa", found.batch_size)


def _candidates(track: Track) -> Iterator[Row]:
    with numerics("default") as precision:
        repeats, pool = asking(track, track.world.runtime(precision))
        yield from repeats.rows(track.world, f"a pool of {pool} latents, once a target")


def asking(track: Track, rt: Runtime) -> tuple[Repeats, int]:
    """Parts of a pool that the target is asked about, and how many latents the profile's has."""
    target, prior = track.target(rt), track.prior(_CANDIDATES, 1, rt)
    name = next(n for n in track.world.study["guided_priors"] if n.startswith("ppa-"))
    whole = params.of_row(track.world.study, "guided_priors", name).plain()["candidates"]["pool"]
    training = track.training(_CANDIDATES, 1)
    size = training.batch_size
    assert training.candidates is not None
    asked = training.candidates

    def run(parts: int) -> float:
        clock = Clock(rt.device, 0)
        pool = torch.randn(parts * size, training.latent_dim, generator=rt.generator("pool"))
        how = replace(asked, pool=len(pool))
        how.order(prior, pool.to(rt.device).split(size), target, rt, Saving(clock, NEVER))
        return clock.seconds

    return Repeats(run, size, whole, "part"), whole


def _selection(track: Track) -> Iterator[Row]:
    block = track.world.study["attacks"]["ppa"]
    with numerics("default") as precision:
        repeats = viewing(track, track.at_once(block), track.world.runtime(precision))
        views, each = block["robustness"]["views"], block["candidates"]
        note = f"{track.world.sizes.classes} people, {views} views of {each} images each"
        yield from repeats.rows(track.world, note)


def viewing(track: Track, count: int, rt: Runtime) -> Repeats:
    """Views of images that are there: they are what the search ends with."""
    target, task = track.target(rt), track.task(count, rt, None)
    size = track.world.sizes.image_size
    images = torch.rand(count, 3, size, size, generator=rt.generator("images")).to(rt.device)
    how = cast(ppa.Attack, track.attack("ppa")).robustness
    assert how is not None
    keys = latents.row_keys(task.labels, task.draws, rt.seed, "robustness")

    def run(views: int) -> float:
        with torch.no_grad(), eval_mode(target):
            synchronize(rt.device)
            begun = time.perf_counter()
            ppa.confidence(replace(how, views=views), target, images, task.labels, keys)
            synchronize(rt.device)
        return time.perf_counter() - begun

    block, classes = track.world.study["attacks"]["ppa"], track.world.sizes.classes
    return Repeats(run, count, classes * block["candidates"] * how.views, "view")
