"""Steps of every attack's search, at the paper's batch and as many rows as memory allows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import torch

from gpu.clock import Clock, paced, peak_memory
from gpu.results import Book, Measure, Row, row
from gpu.study import World, numerics
from trapmid import wiring
from trapmid.config.study import Inversion
from trapmid.runtime import Runtime
from trapmid.search.inversion import invert_all
from trapmid.types import (
    NOTHING,
    Attack,
    InMemory,
    LabelAttack,
    LabelsOnly,
    Prior,
    Saving,
    SideInformation,
    Target,
    Task,
)

# name -> (method, its prior, what differs from the block)
SEARCHES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "plgmi": ("plgmi", "plgmi", {}),
    "gmi": ("gmi", "gmi", {}),
    "kedmi": ("kedmi", "kedmi", {}),
    "lomma_gmi": ("lomma", "gmi", {}),
    "lomma_kedmi": ("lomma", "kedmi", {"search": "distributions"}),
}
NEVER = 10**9  # steps between two saved states


def measurements(book: Book) -> dict[str, Measure]:
    world = World(book)
    measures: dict[str, Measure] = {n: partial(_paper_batch, world, n) for n in SEARCHES}
    for name in ("plgmi", "gmi"):
        measures[f"{name} filled"] = partial(_filled, world, name)
    measures["brepmi"] = partial(_label_only, world)
    return measures


def _paper_batch(world: World, name: str) -> Iterator[Row]:
    method = SEARCHES[name][0]
    rows = min(world.study["attacks"][method]["reference_batch"], world.sizes.reconstructed)
    yield from _steps(world, name, rows)


def _filled(world: World, name: str) -> Iterator[Row]:
    """As many rows at once as `invert_all` finds room for."""
    with numerics("default") as precision:
        found = rows_at_once(world, name, world.runtime(precision))
    yield row("rows searched at once", found, "", precision="default")
    yield from _steps(world, name, found)


def rows_at_once(world: World, name: str, rt: Runtime) -> int:
    """How many rows of a whole attack `invert_all` searches together on this device.

    KED-MI's rows are people, as all images of a person are draws of one search.
    """
    method, prior, changes = SEARCHES[name]
    block = world.study["attacks"][method] | changes | {"steps": 1}
    each = 1 if searches_people(name) else world.sizes.reconstructed // world.sizes.classes
    target = world.target(rt)
    known = _known(world, target, rt) if method == "lomma" else NOTHING
    plan = Inversion(images_per_class=max(1, each), batch_size=None, keep_every=NEVER)
    attack = wiring.attack(method, block)
    found = invert_all(attack, target, world.prior(prior, rt), known, plan, rt, InMemory())
    return found.batch_size


def searches_people(name: str) -> bool:
    """Whether a row of the search is a person, of whom images are drawn at its end."""
    method, _, changes = SEARCHES[name]
    return method == "kedmi" or changes.get("search") == "distributions"


def _steps(world: World, name: str, count: int) -> Iterator[Row]:
    method, prior_name, changes = SEARCHES[name]
    block = world.study["attacks"][method] | changes
    with numerics("default") as precision, peak_memory(world.device) as peak:
        rt = world.runtime(precision)
        target, prior = world.target(rt), world.prior(prior_name, rt)
        known = _known(world, target, rt) if method == "lomma" else NOTHING
        warm = 3

        def run(steps: int) -> float:
            clock = Clock(world.device, warm)
            attack = cast(Attack, wiring.attack(method, block | {"steps": steps + warm}))
            attack.invert(target, prior, _task(count, rt, known, clock, world.sizes.classes), rt)
            return clock.seconds

        steps, seconds = paced(run, world.sizes.steps, 2, world.sizes.seconds)
        memory = peak()
    about = {"precision": "default", "batch_size": count, "measured_steps": steps}
    yield row("step", seconds / steps, "s", **about)
    image = seconds / steps * block["steps"] / count
    note = f"of {block['steps']} steps, extrapolated"
    if searches_people(name):
        note += "; a person's search, of which all images are draws"
    yield row("image", image, "s", note=note, **about)
    yield row("peak memory", memory, "MB", **about)


def _task(count: int, rt: Runtime, known: SideInformation, clock: Clock, classes: int) -> Task:
    """So many rows: every class in turn, then the next draw."""
    index = torch.arange(count, device=rt.device)
    return Task(
        labels=index % classes,
        draws=index // classes,
        side_information=known,
        saving=Saving(clock, NEVER),
    )


def _known(world: World, target: Target, rt: Runtime) -> SideInformation:
    """Students and a mean feature, as distillation leaves them."""
    with torch.no_grad():
        images = world.images(64, rt.device).float() / 255
        mean = target(images).features.mean(dim=0)
    return SideInformation(students=world.students(rt), feature_mean=mean)


def _label_only(world: World) -> Iterator[Row]:
    """BREP-MI's queries: 64 searches for the class that an untrained target shows most."""
    count = 4 if world.book.toy else 64
    limits = {"init_batches": 1, "proposals": world.sizes.steps}
    attack = cast(LabelAttack, wiring.attack("brepmi", world.study["attacks"]["brepmi"] | limits))
    with numerics("default") as precision, peak_memory(world.device) as peak:
        rt = world.runtime(precision)
        oracle, prior = LabelsOnly(world.target(rt)), world.prior("gmi", rt)
        draws = torch.arange(count, device=rt.device)
        shown = _most_shown(oracle, prior, rt)
        oracle.queries, clock = 0, Clock(world.device, 0)
        task = Task(labels=torch.full_like(draws, shown), draws=draws, saving=Saving(clock, NEVER))
        attack.invert(oracle, prior, task, rt)
        seconds = clock.elapsed()
        yield row("queries", oracle.queries / seconds, "1/s", asked=oracle.queries, rows=count)
        yield row("peak memory", peak(), "MB", precision="default")


def _most_shown(oracle: LabelsOnly, prior: Prior, rt: Runtime) -> int:
    with torch.no_grad():
        z = torch.randn(256, prior.latent_dim, generator=rt.generator("latents")).to(rt.device)
        answers = oracle(prior(z, torch.zeros(len(z), dtype=torch.int64, device=rt.device)))
    return int(answers.mode().values)
