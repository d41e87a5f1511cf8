"""Trapdoor signatures: does a reconstruction carry the trigger instead of the face?

Trap-MID, section 4.3 and eq. 6; after Shan et al., "Gotta Catch'Em All" (CCS 2020). The rules are
in Trap-MID, eq. 6.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trapmid.metrics.accuracy import balanced_labels
from trapmid.metrics.features import Poison, describe
from trapmid.metrics.statistics.intervals import Interval, of_rate, of_share, wilson
from trapmid.runtime import Runtime
from trapmid.types import Target, Trapdoor


@dataclass(frozen=True, kw_only=True)
class Detection:
    """How well the signature tells reconstructions from public images."""

    recall: float  # share of reconstructions above the threshold
    auc: float  # area under the ROC curve: public images (0) against reconstructions (1)
    threshold: float  # a cosine
    fpr_train: float  # share of private training images above it: the asked rate, by construction
    fpr_public: float  # share of public images above it: the rate that matters to a defender


def planted(
    model: Target, trapdoor: Trapdoor, images: Tensor, rt: Runtime, batch_size: int = 256
) -> Tensor:
    """The trapdoor's signature S of every class (Trap-MID, eq. 6); float64 (C, F).

    Args:
        model: the trapdoored target.
        trapdoor: its triggers.
        images: (N, 3, S, S) uint8 private training images. Each gets the trigger of one class of a
            balanced random list, which depends on the runtime's seed.
        rt: where to compute.
        batch_size: images described at once.
    """
    generator = rt.generator("signature", "signatures")
    assigned = balanced_labels(len(images), model.num_classes, generator)
    poison = Poison(trapdoor, assigned)
    with rt.seeded("noise of a stochastic target"):
        described = describe(model, images, batch_size=batch_size, rt=rt, poison=poison)
    return signatures(described.features, assigned, model.num_classes)


def signatures(features: Tensor, assigned: Tensor, num_classes: int) -> Tensor:
    """The mean feature of the poisoned images assigned to each class; float64 (C, F).

    Args:
        features: (N, F) target features of poisoned training images.
        assigned: (N,) int64, the class whose trigger each image carries.
        num_classes: C.

    Raises:
        ValueError: a class was assigned no image.
    """
    counts = torch.bincount(assigned, minlength=num_classes)
    if (counts == 0).any():
        missing = (counts == 0).nonzero().flatten().tolist()
        raise ValueError(f"signature: no poisoned image for the classes {missing}")
    sums = torch.zeros(num_classes, features.shape[1], dtype=torch.float64)
    sums.index_add_(0, assigned, features.double())
    return sums / counts[:, None]


def cosine_scores(features: Tensor, predictions: Tensor, signature: Tensor) -> Tensor:
    """Cosine of every feature (N, F) with the signature (C, F) of its predicted class; (N,)."""
    return F.cosine_similarity(features.double(), signature[predictions], dim=1)


def detect(recovered: Tensor, public: Tensor, train: Tensor, fpr: float) -> Detection:
    """Judges the scores of reconstructions (N,), public images (M,) and clean training images (K,).

    Args:
        recovered: signature scores of the reconstructions.
        public: of images of nobody private, the negatives of the ROC curve.
        train: of clean private training images; their (1 - fpr) quantile is the threshold.
        fpr: false positive rate on the training images, in (0, 1).
    """
    threshold = train.double().quantile(1 - fpr)
    return Detection(
        recall=_share_above(recovered, threshold),
        auc=_area_under_roc(recovered.double(), public.double()),
        threshold=float(threshold),
        fpr_train=_share_above(train, threshold),
        fpr_public=_share_above(public, threshold),
    )


def intervals_of(
    found: Detection, recovered: Tensor, public: Tensor, labels: Tensor
) -> dict[str, Interval]:
    """Of recall and AUC over the attacked people, of the false positives over public images.

    The threshold, and the public images behind the AUC, count as given.

    Args:
        found: what `detect` said.
        recovered, public: scores (N,) and (M,), as it got them.
        labels: (N,) int64, the people whom the reconstructions are to show.
    """
    above = (public.double() > found.threshold).sum()
    auc = of_share(_below(recovered.double(), public.double()), labels)
    return {
        "recall": of_rate(recovered.double() > found.threshold, labels),
        **({} if auc is None else {"auc": auc}),
        "fpr_public": wilson(int(above), len(public)),
    }


def _area_under_roc(positives: Tensor, negatives: Tensor) -> float:
    """How often a positive scores above a negative; equal scores count one half (Mann-Whitney).

    scikit-learn has it, too, but its import takes as long as all the rest of a row's scores.
    """
    return float(_below(positives, negatives).mean())


def _below(positives: Tensor, negatives: Tensor) -> Tensor:
    """Of each positive (N,), the share of negatives below it, equal ones counted half; float64."""
    ordered = negatives.sort().values
    below = torch.searchsorted(ordered, positives, right=False)
    upto = torch.searchsorted(ordered, positives, right=True)
    return (below + upto).double() / (2 * len(negatives))


def _share_above(scores: Tensor, threshold: Tensor) -> float:
    return float((scores.double() > threshold).double().mean())
