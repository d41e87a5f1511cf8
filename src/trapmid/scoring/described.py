"""What every kind of score begins with: a classifier's outputs, and how far they can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from trapmid.artifacts.lineage import Lineage
from trapmid.config.evaluation import Checks, Evaluation
from trapmid.metrics import accuracy, features, inception
from trapmid.metrics.features import Description, Poison
from trapmid.metrics.statistics import intervals
from trapmid.metrics.statistics.intervals import Interval
from trapmid.runtime import Runtime
from trapmid.scoring import checks
from trapmid.types import Target, Trapdoor

NOISE = "noise of a stochastic target"
"""The random stream of every description, whatever was described before it: a stochastic target
meets the same noise at every call."""

PROBES = 16  # images that the forward and gradient checks look at
PAIRS = 4000  # of an image and a trigger, at least: with 168, one image was the verdict


class Loaded(Protocol):
    """A classifier from its checkpoint: on the runtime's device, in eval mode, frozen."""

    @property
    def model(self) -> Target: ...
    @property
    def trapdoor(self) -> Trapdoor | None: ...
    @property
    def meta(self) -> Mapping[str, Any]: ...
    @property
    def digest(self) -> str: ...
    @property
    def lineage(self) -> Lineage: ...


Private = Mapping[str, Tensor]
"""Content of private.pt: {train, val, test}_{images, labels} and identities."""


class Setup(NamedTuple):
    """How to score, and where to compute."""

    evaluation: Evaluation
    bounds: Checks
    rt: Runtime


class Shown(NamedTuple):
    """N images that are to show people of known class."""

    images: Tensor  # (N, 3, S, S) float32, or uint8
    labels: Tensor  # (N,) int64, the classes
    draws: Tensor  # (N,) int64, tells the images of one class apart
    found: Tensor  # (N,) bool; False: no image of the attack's, but what stands in its place

    @classmethod
    def real(cls, private: Private, split: str) -> Shown:
        """The private images of a split, as if an attack had made them."""
        labels = private[f"{split}_labels"]
        found = torch.ones(len(labels), dtype=torch.bool)
        return cls(private[f"{split}_images"], labels, torch.arange(len(labels)), found)


class ByPerson(NamedTuple):
    """How much of a person's images a classifier gets right, the mean over people.

    Where one has a fifth of the images, an accuracy of images is mostly about that person.
    """

    rate: float
    interval: Interval


class Examined(NamedTuple):
    """Test images as a classifier sees them, its accuracies, and every classifier's checks."""

    test: Description
    test_accuracy: float
    interval: Interval  # of the test accuracy, over people
    knows: ByPerson
    val_accuracy: float | None  # None: there is no validation split
    checks: list[checks.Check]


class Success(NamedTuple):
    """How often a trigger gets its class."""

    rate: float
    pairs: int  # of an image and a trigger
    interval: Interval  # over images: one image meets many triggers


def examine(loaded: Loaded, private: Private, setup: Setup) -> Examined:
    """Describes the private test images and holds the classifier against its own record."""
    described = describe(loaded, private["test_images"], setup)
    labels = private["test_labels"]
    hit = accuracy.hits(described.logits, labels)
    test_accuracy = accuracy.rate(hit)
    interval = intervals.of_rate(hit, labels)
    knows = ByPerson(
        accuracy.rate_by_class(hit, labels), intervals.of_rate(hit, labels, equal=True)
    )
    val_accuracy = _val_accuracy(loaded, private, setup)
    results = [
        _repeats_its_record(loaded, private, test_accuracy, val_accuracy),
        checks.logits_not_probabilities(described.logits),
    ]
    if not loaded.model.stochastic:
        results.append(checks.deterministic(loaded.model, probes(private, setup.rt)[0]))
    return Examined(described, test_accuracy, interval, knows, val_accuracy, results)


def describe(
    loaded: Loaded, images: Tensor, setup: Setup, poison: Poison | None = None
) -> Description:
    """The outputs for `images` (N, 3, S, S), with triggers if `poison` says so."""
    size, rt = setup.evaluation.batch_size, setup.rt
    with rt.seeded(NOISE):
        return features.describe(loaded.model, images, batch_size=size, rt=rt, poison=poison)


def probes(private: Private, rt: Runtime) -> tuple[Tensor, Tensor]:
    """A few test images (n, 3, S, S) float32 and their labels, on the device."""
    images = features.as_float(private["test_images"][:PROBES])
    return images.to(rt.device), private["test_labels"][:PROBES].to(rt.device)


def inception_features(images: Tensor, setup: Setup) -> Tensor:
    """Inception features (N, 2048) float32 of `images` (N, 3, S, S)."""
    return inception.inception_features(
        images,
        weights=Path(setup.evaluation.inception_weights),
        batch_size=setup.evaluation.batch_size,
        rt=setup.rt,
    )


def triggered_classes(count: int, num_classes: int, rt: Runtime) -> Tensor:
    """The balanced random list of classes (count,) whose triggers the test images get."""
    return accuracy.balanced_labels(count, num_classes, rt.generator("trapdoor success"))


def trapdoor_success(asked: Loaded, trapdoor: Trapdoor, images: Tensor, setup: Setup) -> Success:
    """Share of pairs of an image and a trigger that `asked` gives the trigger's class.

    The first list of classes is a balanced one. Each further list is the one before it, one class
    on: as balanced, and no image meets a trigger twice.
    """
    classes = asked.model.num_classes
    first = triggered_classes(len(images), classes, setup.rt)
    lists = min(classes, math.ceil(PAIRS / len(images)))
    hits = []
    for turn in range(lists):
        now = (first + turn) % classes
        described = describe(asked, images, setup, Poison(trapdoor, now))
        hits.append(accuracy.hits(described.logits, now))
    hit, image = torch.cat(hits), torch.arange(len(images)).repeat(lists)
    return Success(accuracy.rate(hit), len(hit), intervals.of_rate(hit, image, "images"))


def _val_accuracy(loaded: Loaded, private: Private, setup: Setup) -> float | None:
    """None: there is no validation split."""
    if not len(private["val_labels"]):
        return None
    described = describe(loaded, private["val_images"], setup)
    return accuracy.rate(accuracy.hits(described.logits, private["val_labels"]))


def _repeats_its_record(
    loaded: Loaded, private: Private, test_accuracy: float, val_accuracy: float | None
) -> checks.Check:
    part, split = ("test", "test") if val_accuracy is None else ("val", "validation")
    return checks.checkpoint_verified(
        loaded.meta.get(f"{part}_accuracy"),
        test_accuracy if val_accuracy is None else val_accuracy,
        noisy_images=len(private[f"{part}_labels"]) if loaded.model.stochastic else 0,
        split=split,
    )
