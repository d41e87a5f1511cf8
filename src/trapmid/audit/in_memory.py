"""An attack in a few lines, without files of parameters: GMI on a model and images in memory.

It is what the stages of a study do, with numbers for a first look; an audit (`audit.run`) has the
stronger attacks, a control and judges.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trapmid.artifacts import priors
from trapmid.artifacts.checkpoints import write_atomically
from trapmid.attacks import gmi, random
from trapmid.config.study import ClassifierTraining, Inversion
from trapmid.defenses import none
from trapmid.metrics import accuracy, features
from trapmid.metrics.statistics.intervals import Interval, of_rate
from trapmid.nets import program
from trapmid.priors import gmi as gmi_prior
from trapmid.report.pictures import image_grid
from trapmid.runtime import Runtime, frozen
from trapmid.search.inversion import invert_all
from trapmid.targets import small_resnet
from trapmid.training import classifier, fit
from trapmid.training.classifier import Splits
from trapmid.types import NOTHING, InMemory, Output, Prior, Target

_PLAN = ClassifierTraining(
    epochs=10, batch_size=32, optimizer="adam", lr=1e-3, momentum=0.9, weight_decay=5e-4,
    milestones=(), decay=0.1, flip=True, select="last", precision="fp32", keep_every=10,
)  # fmt: skip
_ASKED = Inversion(images_per_class=5, batch_size=None, keep_every=100)
_SEARCH = gmi.Attack(
    steps=100,
    lr=0.02,
    momentum=0.9,
    identity_weight=100.0,
    bound=1.0,
    averaging=None,
    adaptive=None,
    reference_batch=60,
)
_STEPS = {True: 10, False: 3000}  # of the prior: from given weights, from random ones
_REACHED = 0.9  # of its images a search that works has the model take as much, and mostly all
_FAILED = (
    "\nthe search did not reach what it asked for, so it shows nothing about the model: does it "
    "return logits (no probabilities), and let gradients through to the image?"
)
_SHOWN = 8  # people in the picture


class Yours(Target):
    """A module of plain torch as the library sees it: images in [0, 1] to logits and features."""

    def __init__(self, network: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.num_classes, self.network = num_classes, network

    def forward(self, images: Tensor) -> Output:
        return Output(*program.ask(self.network, images))


@dataclass(frozen=True, kw_only=True)
class Found:
    """What GMI got out of a model; rates are fractions in [0, 1]."""

    model_accuracy: float  # of the model, on test images
    evaluator_accuracy: float  # of the network that judges, on test images
    aa1: float
    interval: Interval  # of AA-1, over people
    floor: float  # AA-1 of random faces
    accepted: float  # share of the reconstructions that the model itself takes for their person
    images: Tensor  # (N, 3, S, S) float32, the reconstructions
    labels: Tensor  # (N,) int64, whom they are to show
    hit: Tensor  # (N,) bool, whether the evaluator recognises them
    private: Tensor  # (C, 3, S, S) float32, a private image of everybody

    def __str__(self) -> str:
        ends = f"{self.interval.low:.0%} to {self.interval.high:.0%}"
        return (
            f"your model: {self.model_accuracy:.0%} of its test images\n"
            f"evaluator: {self.evaluator_accuracy:.0%}\n"
            f"random faces: AA-1 {self.floor:.0%}\n"
            f"GMI: AA-1 {self.aa1:.0%} (95 % interval {ends}) of {len(self.hit)} images, of which "
            f"the model takes {self.accepted:.0%} for their person"
        ) + _FAILED * (self.accepted < _REACHED)

    def save_grid(self, path: Path) -> None:
        """Writes a PNG: private faces above, the first reconstruction of each below."""
        people = range(min(_SHOWN, len(self.private)))
        first = [int((self.labels == label).nonzero()[0]) for label in people]
        grid = image_grid(
            [[self.private[label] for label in people], [self.images[i] for i in first]],
            title="",
            row_labels=["private", "rebuilt"],
            column_labels=[str(label) for label in people],
            frames=[[None for _ in people], [bool(self.hit[i]) for i in first]],
        )
        write_atomically(path, grid)


def attack(
    model: nn.Module,
    private: Splits,
    public: Tensor,
    start: Path = Path("weights/random"),
    seed: int = 0,
) -> Found:
    """Attacks `model` with GMI (Zhang et al., CVPR 2020), and judges what comes out.

    Args:
        model: in eval mode, on the CPU; images (N, 3, S, S) float32 in [0, 1] to logits (N, C), or
            to (logits, features).
        private: the images that it learnt, and others of the same people; they train the network
            that judges, and the attacker sees none of them.
        public: (M, 3, S, S) uint8, faces of other people, from which the attacker learns.
        start: weights of a prior for this size, or weights/random, which takes much longer.
        seed: of everything that is drawn.
    """
    rt = Runtime(device=torch.device("cpu"), seed=seed, precision="fp32")
    target = Yours(model, private.num_classes).eval()
    prior = _prior(public, start, rt)
    network = partial(small_resnet.Network, image_size=public.shape[-1])
    judge = classifier.train(
        none.Defense(augmentation=None), network, private, _PLAN, rt, InMemory()
    )
    with frozen(target):  # the caller's own network, which may be trained on
        rows, hit = _search(_SEARCH, target, prior, judge.model, rt)
        _, chance = _search(random.Attack(), target, prior, judge.model, rt)
        taken = _recognised(target, rows, rt)
    train = private.train
    first = [int((train.labels == label).nonzero()[0]) for label in range(private.num_classes)]
    return Found(
        model_accuracy=fit.accuracy(target, private.test),
        evaluator_accuracy=judge.fitted.test_accuracy,
        aa1=accuracy.rate(hit),
        interval=of_rate(hit, rows["labels"]),
        floor=accuracy.rate(chance),
        accepted=accuracy.rate(taken),
        images=rows["images"],
        labels=rows["labels"],
        hit=hit,
        private=fit.to_float(train.images[first]),
    )


def _prior(public: Tensor, start: Path, rt: Runtime) -> Prior:
    given = start.name != "random"
    method = gmi_prior.Training(
        latent_dim=64, width=32, steps=_STEPS[given], critic_steps=2, batch_size=64, lr=2e-4,
        betas=(0.5, 0.999), penalty=10.0, vae_gan=None, precision="fp32", keep_every=1000,
    )  # fmt: skip
    prior = priors.start(method, public.shape[-1], 1, start, rt)  # 1: it knows no classes
    method.fit(prior, public, None, NOTHING, rt, InMemory())
    return prior


def _search(
    method: Any, target: Target, prior: Prior, judge: Target, rt: Runtime
) -> tuple[dict[str, Any], Tensor]:
    """The reconstructions, and which of them the judge recognises."""
    rows = invert_all(method, target, prior, NOTHING, _ASKED, rt, InMemory()).rows
    return rows, _recognised(judge, rows, rt)


def _recognised(network: Target, rows: dict[str, Any], rt: Runtime) -> Tensor:
    seen = features.describe(network, rows["images"], batch_size=64, rt=rt)
    return accuracy.hits(seen.logits, rows["labels"])
