"""Priors, searches and their scores in the study of real people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from gpu.clock import Clock
from gpu.paces import steps_within
from gpu.results import RESULTS, ROOT, Row, device_name, row
from gpu.subjects import Subjects, rate
from trapmid import types, wiring
from trapmid.artifacts import priors
from trapmid.config.study import Inversion
from trapmid.metrics import accuracy, features
from trapmid.runtime import Runtime
from trapmid.search.inversion import Inverted, invert_all
from trapmid.training.signatures import auxiliary_signatures
from trapmid.types import Prior, SideInformation

# What a few minutes change of the profile: an autoencoder beside each GAN, and few critic steps.
VAE = {"lr": 0.001, "weight": 0.02, "sigma": 0.2, "width": 48}
PRIORS: dict[str, dict[str, Any]] = {
    "gmi": {"critic_steps": 2},
    "plgmi": {"critic_steps": 1, "lr_generator": 0.0001, "lr_critic": 0.0004},
}
GUIDED = {"lr_generator": 0.00005}
PLUS = {"adaptive": {"trapdoor_weight": 0.0, "auxiliary_weight": 100.0}}
ALONE = 0.65  # of a public prior's seconds: the autoencoder without the critic


def public(world: Subjects, name: str, method: str, seconds: float) -> Iterator[Row]:
    """A prior without a target; for PLG-MI the guided ones' start, of one class.

    The autoencoder alone, then with the critic; each for its share of the seconds.
    """
    rt = world.runtime()  # in fp32, in which these trainings were timed on a GPU

    def fit(alone: int, steps: int, clock: types.Checkpointer) -> Prior:
        block = _block(world, method, {"vae_gan": {**VAE, "alone": alone}, "steps": steps})
        training = wiring.prior_training(method, block)
        prior = priors.start(training, world.faces.size, 1, ROOT / "weights/random", rt)
        training.fit(prior, world.faces.public, None, types.NOTHING, rt, clock)
        return prior

    def timed(alone: bool, steps: int) -> float:
        clock = Clock(rt.device, 0)
        fit(steps if alone else 0, steps, clock)
        return clock.seconds

    most = world.sizes.steps
    alone = steps_within(ALONE * seconds, lambda steps: timed(True, steps), most)
    more = steps_within((1 - ALONE) * seconds, lambda steps: timed(False, steps), most)
    world.keep(name, fit(alone, alone + more, types.InMemory()))
    yield row("steps", alone + more, "", alone=alone)


def guided(world: Subjects, attack: str, target: str, seconds: float) -> Iterator[Row]:
    """PLG-MI's prior of one target, or PLG-MI+'s."""
    rt = world.runtime()
    model, known = world.classifier(target, rt), _known(world, attack, target, rt)
    changes = GUIDED | (PLUS if attack == "plus" else {})
    start = world.room.file("plgmi-start")

    def fit(steps: int, clock: types.Checkpointer) -> Prior:
        training = wiring.prior_training(
            "plgmi", _block(world, "plgmi", changes | {"steps": steps})
        )
        prior = priors.start(training, world.faces.size, world.faces.classes, start, rt)
        training.fit(prior, world.faces.public, model, known, rt, clock)
        return prior

    def timed(steps: int) -> float:
        clock = Clock(rt.device, 0)
        fit(steps, clock)
        return clock.seconds

    steps = steps_within(seconds, timed, world.sizes.steps, (3, 9))
    world.keep(f"{attack}-prior-{target}", fit(steps, types.InMemory()))
    yield row("steps", steps, "", width=world.sizes.width)


def attack(world: Subjects, name: str, target: str, seconds: float) -> Iterator[Row]:
    """GMI, PLG-MI or PLG-MI+; the images are kept as 8-bit files would have them."""
    rt = world.runtime()
    model, known = world.classifier(target, rt), _known(world, name, target, rt)
    prior, method = _prior(world, name, target, rt), _method(name)
    block = world.study["attacks"][method] | (PLUS if name == "plus" else {})
    plan = Inversion(images_per_class=world.sizes.images, batch_size=None, keep_every=10**9)

    def search(steps: int) -> Inverted:
        method_of = wiring.attack(method, block | {"steps": steps})
        return invert_all(method_of, model, prior, known, plan, rt, types.InMemory())

    def timed(steps: int) -> float:
        clock = Clock(rt.device, 0)
        search(steps)
        return clock.elapsed()

    most = min(block["steps"], world.sizes.steps)
    steps = steps_within(seconds, timed, most, (1, 3))
    found = search(steps)
    images, labels = features.as_bytes(found.rows["images"]), found.rows["labels"]
    logits = features.describe(model, images, batch_size=256, rt=rt).logits
    content = {"images": images, "labels": labels, "attack": name, "target": target}
    _send(world, f"{name}-{target}", content)
    yield row("steps", steps, "", rows_at_once=found.batch_size)
    yield rate("target agreement", accuracy.hits(logits, labels), labels)


def score(world: Subjects, name: str, target: str, seconds: float) -> Iterator[Row]:
    """What the evaluator says of an attack's images."""
    del seconds
    rt, found = world.runtime(), f"{name}-{target}"
    content = world.room.load(found)
    model = world.classifier("evaluator", rt)
    logits = features.describe(model, content["images"], batch_size=256, rt=rt).logits
    for k in (1, 5):
        hit = accuracy.hits(logits, content["labels"], k)
        yield rate(f"AA-{k}", hit, content["labels"], evaluator=world.sizes.evaluator)
    world.room.save(f"{found}-scores", {})


def _method(attack_name: str) -> str:
    return "gmi" if attack_name == "gmi" else "plgmi"


def _block(world: Subjects, method: str, changes: dict[str, Any]) -> dict[str, Any]:
    few: dict[str, Any] = {"width": world.sizes.width} if method == "plgmi" else {}
    if world.book.toy:
        few |= {"batch_size": world.sizes.batch, "width": world.sizes.width}
        few |= {"top_n": 8} if method == "plgmi" else {}
    block: dict[str, Any] = world.study["prior_training"][method]
    return block | PRIORS[method] | few | changes


def _prior(world: Subjects, name: str, target: str, rt: Runtime) -> Prior:
    method = _method(name)
    file = "gmi-prior" if name == "gmi" else f"{name}-prior-{target}"
    training = wiring.prior_training(method, _block(world, method, {}))
    prior = training.make(world.faces.size, world.faces.classes)
    prior.load_state_dict(world.room.load(file)["state"])
    return rt.place(prior).eval().requires_grad_(False)


def _known(world: Subjects, name: str, target: str, rt: Runtime) -> SideInformation:
    """PLG-MI+ knows the features of the public images that are likeliest for each class."""
    if name != "plus":
        return types.NOTHING
    top = _block(world, "plgmi", {})["top_n"]
    found = auxiliary_signatures(world.classifier(target, rt), world.faces.public, top, rt)
    return SideInformation(auxiliary=found.to(rt.device))


def _send(world: Subjects, name: str, content: dict[str, Any]) -> None:
    """Keeps reconstructions here, and beside the results unless these are in the checkout."""
    where = {"device": device_name(world.book.device), "torch": str(torch.__version__)}
    whole = content | where | {"code": world.book.code, "toy": world.book.toy}
    world.room.save(name, whole)
    if world.book.out != RESULTS:
        torch.save(whole, world.book.out / f"{name}.pt")
