"""What an evaluator says of images whose class is known: an attack's, or real ones.

All of it is from the generator's raw output, the same way for every attack: what the evaluator
wants of an image, such as more pixels, it does inside. How the papers' code looks at it, another
way for every attack, is in `papers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from trapmid.metrics import accuracy, frechet, knn
from trapmid.metrics.features import Description
from trapmid.metrics.statistics import intervals
from trapmid.metrics.statistics.intervals import Interval
from trapmid.scoring.described import Loaded, Setup, Shown, describe, inception_features
from trapmid.scoring.references import EvaluatorReference
from trapmid.scoring.scores import Recognition


class Evaluator(NamedTuple):
    """Who judges, and the private images that it compares with."""

    loaded: Loaded
    reference: EvaluatorReference


class Recognised(NamedTuple):
    """What the evaluator says."""

    seen: Description  # of all N images
    best: Tensor  # (N, min(5, C)) classes, best first
    hit: Tensor  # (N,) bool; an image that was not found is a miss
    hit5: Tensor  # (N,) bool
    knn: Tensor  # (N,) float64
    found: Tensor  # (N,) bool
    labels: Tensor  # (N,) int64, the classes
    successes: Tensor  # (n_success, F): what the Frechet distance compares
    frechet: float | None

    def recognition(self, more: Mapping[str, Interval] | None = None) -> Recognition:
        """Rates and mean distances; `more`: intervals of other numbers of the row, by path.

        Rates count people, not images: an attack makes equally many of each, and the ceiling's real
        images are as many as there happen to be.
        """
        return Recognition(
            aa1=accuracy.rate_by_class(self.hit, self.labels),
            aa5=accuracy.rate_by_class(self.hit5, self.labels),
            knn_dist=mean_distance(self.knn, self.found),
            frechet=self.frechet,
            n_success=int(self.hit.sum()),
            n=len(self.hit),
            intervals={
                "aa1": intervals.of_rate(self.hit, self.labels, equal=True),
                "aa5": intervals.of_rate(self.hit5, self.labels, equal=True),
                **(more or {}),
            },
        )


def recognise(
    evaluator: Evaluator, shown: Shown, setup: Setup, described: Description | None = None
) -> Recognised:
    """Judges `shown`; `described`: what the evaluator says of its images, if known already."""
    seen = described or describe(evaluator.loaded, shown.images, setup)
    reference, labels = evaluator.reference, shown.labels
    hit = accuracy.hits(seen.logits, labels) & shown.found
    successes = compared(shown.images, seen.features, hit, reference, setup)
    return Recognised(
        seen=seen,
        best=accuracy.best_classes(seen.logits, 5),
        hit=hit,
        hit5=accuracy.hits(seen.logits, labels, 5) & shown.found,
        knn=knn.nearest_squared(seen.features, labels, reference.features, reference.labels),
        found=shown.found,
        labels=labels,
        successes=successes,
        frechet=distance(successes, reference.compared, setup.evaluation.frechet_min_success),
    )


def compared(
    images: Tensor, features: Tensor, hit: Tensor, reference: EvaluatorReference, setup: Setup
) -> Tensor:
    """The rows (n, F) that a Frechet distance compares, of the n images that `hit` (N,) bool names.

    Only Inception looks at the images (N, 3, S, S) again; `features` (N, F) are the evaluator's.
    """
    if reference.inception is None:
        return features[hit]
    return inception_features(images[hit], setup) if hit.any() else reference.inception[:0]


def distance(made: Tensor, real: Tensor, at_least: int) -> float | None:
    """The Frechet distance of rows (n, F) and (m, F); None: fewer than `at_least` or 2 are made."""
    return None if len(made) < max(at_least, 2) else frechet.frechet(made, real)


def mean_distance(distances: Tensor, found: Tensor) -> float | None:
    """The mean (N,) over the images that were found; None: there are none."""
    return float(distances[found].mean()) if found.any() else None
