"""What an evaluator says of images whose class is known: an attack's, or real ones.

Attack accuracy is taken from the generator's raw output; what the evaluator wants of an image it
does inside. With `evaluation.stretch` the distances see reconstructions as the papers' scripts
re-read them from PNG files (`features.stretch`).
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from trapmid.config.evaluation import Evaluation
from trapmid.metrics import accuracy, features, frechet, knn
from trapmid.metrics.features import Description
from trapmid.metrics.statistics import intervals
from trapmid.scoring.described import Loaded, Setup, describe, inception_features, stored
from trapmid.scoring.references import EvaluatorReference
from trapmid.scoring.scores import Recognition


class Evaluator(NamedTuple):
    """Who judges, and the private images that it compares with."""

    loaded: Loaded
    reference: EvaluatorReference


class Shown(NamedTuple):
    """N images that are to show people of known class."""

    images: Tensor  # (N, 3, S, S) float32, or uint8
    labels: Tensor  # (N,) int64, the classes
    found: Tensor  # (N,) bool; False: no image of the attack's, but what stands in its place


class Recognised(NamedTuple):
    """What the evaluator says."""

    best: Tensor  # (N, min(5, C)) classes, best first
    hit: Tensor  # (N,) bool; an image that was not found is a miss
    hit5: Tensor  # (N,) bool
    knn: Tensor  # (N,) float64
    found: Tensor  # (N,) bool
    labels: Tensor  # (N,) int64, the classes
    frechet: float | None

    def recognition(self) -> Recognition:
        """Rates and mean distances."""
        return Recognition(
            aa1=accuracy.rate(self.hit),
            aa5=accuracy.rate(self.hit5),
            knn_dist=float(self.knn[self.found].mean()) if self.found.any() else None,
            frechet=self.frechet,
            n_success=int(self.hit.sum()),
            n=len(self.hit),
            intervals={
                "aa1": intervals.of_rate(self.hit, self.labels),
                "aa5": intervals.of_rate(self.hit5, self.labels),
            },
        )


def recognise(
    evaluator: Evaluator, shown: Shown, setup: Setup, described: Description | None = None
) -> Recognised:
    """Judges `shown`; `described`: what the evaluator says of its raw images, if known already."""
    evaluation, images = setup.evaluation, shown.images
    if evaluation.low2high is not None and described is None:
        images = features.low2high(images, evaluation.low2high)
    raw = described or describe(evaluator.loaded, images, setup)
    files = stored(images, evaluation)
    description = describe(evaluator.loaded, files, setup) if evaluation.stretch else raw
    reference, labels = evaluator.reference, shown.labels
    hit = accuracy.hits(raw.logits, labels) & shown.found
    return Recognised(
        best=accuracy.best_classes(raw.logits, 5),
        hit=hit,
        hit5=accuracy.hits(raw.logits, labels, 5) & shown.found,
        knn=knn.nearest_squared(description.features, labels, reference.features, reference.labels),
        found=shown.found,
        labels=labels,
        frechet=_frechet(files[hit], description.features[hit], reference, setup),
    )


def _frechet(
    images: Tensor, seen: Tensor, reference: EvaluatorReference, setup: Setup
) -> float | None:
    """Distance of the successes, `images` with the features `seen`, from the private images."""
    evaluation = setup.evaluation
    if len(images) < max(evaluation.frechet_min_success, 2):
        return None
    real = reference.features
    if reference.inception is not None:
        seen, real = inception_features(images, setup), reference.inception
    return frechet.frechet(_whole_batches(seen, evaluation), _whole_batches(real, evaluation))


def _whole_batches(rows: Tensor, evaluation: Evaluation) -> Tensor:
    """The rows (N, F) that the official scripts see: all but those of the last, partial batch."""
    batch = evaluation.frechet_batch
    return rows if batch is None or len(rows) < batch else rows[: len(rows) // batch * batch]
