"""An attack's scores as the code behind the papers' tables computes them.

Every attack's code looks at other pixels and counts in another way: `types.PaperScoring` says how,
in the attack's own file. Never mixed with the standard scores: they have a key of their own.
"""

from __future__ import annotations

from torch import Tensor

from trapmid.metrics import accuracy, features, knn
from trapmid.metrics.features import Description
from trapmid.metrics.signature import Detection
from trapmid.scoring.described import Setup, Shown, describe
from trapmid.scoring.recognition import (
    Evaluator,
    Recognised,
    compared,
    distance,
    mean_distance,
)
from trapmid.scoring.scores import PaperScores
from trapmid.types import PaperScoring, Target


def stored(images: Tensor, scoring: PaperScoring) -> Tensor:
    """`images` (N, 3, S, S) as distances and the signature see them."""
    return features.stretch(images) if scoring.distances == "files" else images


def as_published(
    scoring: PaperScoring,
    evaluator: Evaluator,
    shown: Shown,
    standard: Recognised,
    signature: Detection | None,
    setup: Setup,
) -> PaperScores:
    """The scores of `shown`.

    Args:
        scoring: the way of the attack's code.
        evaluator: who judges; it enlarges floats by itself, as PLG-MI's code does.
        shown: what the attack left.
        standard: what the evaluator says of the raw images.
        signature: the target's verdict on `stored` images.
        setup: how to score, as far as the attack's code leaves it open.
    """
    pixels, seen = _seen(scoring, evaluator, shown, standard, setup)
    hit = accuracy.hits(seen.logits, shown.labels) & shown.found
    hit5 = accuracy.hits(seen.logits, shown.labels, 5) & shown.found
    last = shown.draws == shown.draws.max()
    knn_dist, frechet = _distances(scoring, evaluator, shown, seen, standard, hit, setup)
    return PaperScores(
        aa1=accuracy.rate(hit),
        aa5=accuracy.rate(hit5[last] if scoring.aa5 == "last_draw" else hit5),
        aa1_std=_deviation(scoring, hit, shown),
        aa5_std=_deviation(scoring, hit5, shown),
        knn_dist=knn_dist,
        frechet=frechet,
        n_success=int(hit.sum()),
        signature=signature,
        attack_batch=scoring.batch,
        pixels=pixels,
    )


def _seen(
    scoring: PaperScoring, evaluator: Evaluator, shown: Shown, standard: Recognised, setup: Setup
) -> tuple[int, Description]:
    """The pixels of what the accuracy is taken from, and what the evaluator says of it."""
    size = shown.images.shape[-1]
    pixels = _side(evaluator.loaded.model, size)
    if scoring.accuracy == "floats":
        return pixels, standard.seen
    enlarged = features.low2high(shown.images, pixels)
    return pixels, describe(evaluator.loaded, enlarged, setup)


def _side(model: Target, size: int) -> int:
    """The pixels that an evaluator enlarges images of `size` to; most take them as they are."""
    return int(getattr(model, "side", size))


def _deviation(scoring: PaperScoring, hit: Tensor, shown: Shown) -> float | None:
    by_mean = scoring.deviation == "mean_of_deviations"
    formula = accuracy.mean_of_stds if by_mean else accuracy.within_run_std
    return formula(hit, shown.labels, shown.draws, scoring.batch)


def _distances(
    scoring: PaperScoring,
    evaluator: Evaluator,
    shown: Shown,
    seen: Description,
    standard: Recognised,
    hit: Tensor,
    setup: Setup,
) -> tuple[float | None, float | None]:
    """KNN and Frechet distance.

    From files both see the file. From raw images KNN sees what the accuracy is taken from, and
    Frechet the generator's output.
    """
    if scoring.distances is None:
        return None, None
    images, reference = stored(shown.images, scoring), evaluator.reference
    near, natural = seen.features, standard.seen.features
    if scoring.distances == "files":
        near = natural = describe(evaluator.loaded, images, setup).features
    nearest = knn.nearest_squared(near, shown.labels, reference.features, reference.labels)
    made = compared(images, natural, hit, reference, setup)
    made, real = (_whole_batches(r, scoring.frechet_batch) for r in (made, reference.compared))
    return mean_distance(nearest, shown.found), distance(made, real, at_least=2)


def _whole_batches(rows: Tensor, batch: int | None) -> Tensor:
    """The rows (N, F) but those of a last, partial batch; all where they fill none."""
    return rows if batch is None or len(rows) < batch else rows[: len(rows) // batch * batch]
