"""How much images look like the private ones, and whose they come near to."""

from __future__ import annotations

import torch
from torch import Tensor

from trapmid.metrics import frechet, kid, neighbours, prdc
from trapmid.scoring.described import Setup, Shown
from trapmid.scoring.recognition import Recognised
from trapmid.scoring.references import EvaluatorReference
from trapmid.scoring.scores import Fidelity

_SUBSETS = 5  # of `matched_size` images


def fidelity(
    recognised: Recognised,
    shown: Shown,
    reference: EvaluatorReference,
    public: Tensor,
    setup: Setup,
) -> Fidelity | None:
    """The distances of `shown` from private and public images.

    Args:
        recognised: what the evaluator says of `shown`.
        shown: an attack's images, or real ones.
        reference: the private training images.
        public: (m, F) features of the public images.
        setup: its seed draws the subsets, in an order that no order of rows changes.

    Returns:
        None where fewer than two images were found.
    """
    found, k = shown.found, setup.evaluation.neighbours
    made, labels = recognised.seen.features[found], shown.labels[found]
    if len(made) < 2:
        return None
    real, real_labels = reference.features, reference.labels
    attacked = torch.isin(real_labels, shown.labels)
    kid_value, kid_std, matched = _of_successes(recognised, shown, reference, setup)
    return Fidelity(
        kid=kid_value,
        kid_std=kid_std,
        frechet_matched=matched,
        prdc=prdc.prdc(real, made, k) if min(len(real), len(made)) > k else None,
        prdc_ppa=prdc.ppa_per_class(real, real_labels, made, labels, k),
        nearest_private=neighbours.nearest_private(made, real, public) if len(public) else None,
        covered=neighbours.covered(made, labels, real[attacked], real_labels[attacked]),
    )


def _of_successes(
    recognised: Recognised, shown: Shown, reference: EvaluatorReference, setup: Setup
) -> tuple[float | None, float | None, float | None]:
    """KID, its deviation over subsets, and the Frechet distance of as many successes."""
    hit, real, size = recognised.hit, reference.compared, setup.evaluation.matched_size
    rows = recognised.successes[_order(shown.labels[hit], shown.draws[hit])]
    whole = kid.kid(rows, real) if min(len(rows), len(real)) > 1 else None
    if size is None or min(len(rows), len(real)) < max(size, 2):
        return whole, None, None
    generator = setup.rt.generator("matched size")
    kids = kid.subset_kids(rows, real, size, _SUBSETS, generator)
    parts = [rows[torch.randperm(len(rows), generator=generator)[:size]] for _ in range(_SUBSETS)]
    fitted = frechet.Gaussian.of(real)
    distances = [frechet.frechet(part, fitted) for part in parts]
    return whole, float(kids.std()), sum(distances) / _SUBSETS


def _order(labels: Tensor, draws: Tensor) -> Tensor:
    """Indices (n,) that sort by label, then draw."""
    by_draw = draws.argsort(stable=True)
    return by_draw[labels[by_draw].argsort(stable=True)]
