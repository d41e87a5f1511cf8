"""What attacks are measured by: the private images as an evaluator and a target see them.

It is the same for every attack that the evaluator judges, and for every attack on the target.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from trapmid.metrics import accuracy, signature
from trapmid.metrics.features import Poison
from trapmid.scoring.described import Loaded, Private, Setup, describe, inception_features
from trapmid.types import Trapdoor


class EvaluatorReference(NamedTuple):
    """The private training images, as one evaluator sees them; on the CPU."""

    features: Tensor  # (n, F) float32
    labels: Tensor  # (n,) int64
    inception: Tensor | None  # (n, 2048) float32; None: `frechet_features` does not ask for them


class SignatureReference(NamedTuple):
    """A target's trapdoor signature, and how strongly images that no attack made carry it."""

    centres: Tensor  # (C, F) float64, the signature of every class
    train: Tensor  # (n,) float64 cosines of clean private training images
    poisoned: Tensor  # (n,) of the same with triggers
    public: Tensor  # (m,) of the public images


def of_evaluator(loaded: Loaded, private: Private, setup: Setup) -> EvaluatorReference:
    """Describes the private training images."""
    images = private["train_images"]
    wanted = setup.evaluation.frechet_features == "inception"
    return EvaluatorReference(
        features=describe(loaded, images, setup).features,
        labels=private["train_labels"],
        inception=inception_features(images, setup) if wanted else None,
    )


def of_target(
    loaded: Loaded, private: Private, public: Tensor, setup: Setup
) -> SignatureReference | None:
    """The signature of a trapdoored target, and its cosines; None: it has no trapdoor.

    Args:
        loaded: the target.
        private: its private images.
        public: (m, 3, S, S) uint8, the negatives of the signature's ROC curve.
        setup: how to score; its seed draws the triggers.
    """
    if loaded.trapdoor is None:
        return None
    train, size = private["train_images"], setup.evaluation.batch_size
    centres = signature.planted(loaded.model, loaded.trapdoor, train, setup.rt, size)
    return SignatureReference(
        centres=centres,
        train=cosines(loaded, train, centres, setup),
        poisoned=cosines(
            loaded, train, centres, setup, _poison(loaded, loaded.trapdoor, setup, len(train))
        ),
        public=cosines(loaded, public, centres, setup),
    )


def cosines(
    loaded: Loaded, images: Tensor, centres: Tensor, setup: Setup, poison: Poison | None = None
) -> Tensor:
    """How strongly `images` (N, 3, S, S) carry the signature of their predicted class; (N,)."""
    described = describe(loaded, images, setup, poison)
    return signature.cosine_scores(described.features, described.predictions, centres)


def _poison(loaded: Loaded, trapdoor: Trapdoor, setup: Setup, count: int) -> Poison:
    """Another list than the signature's: no image is judged by a signature that it is a part of."""
    generator = setup.rt.generator("signature", "poisoned")
    return Poison(trapdoor, accuracy.balanced_labels(count, loaded.model.num_classes, generator))
