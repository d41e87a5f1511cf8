"""What attacks are measured by: the private images as an evaluator and a target see them.

It is the same for every attack that the evaluator judges, and for every attack on the target, so
the stages that score these leave it in files. A file names the checkpoint and the images that it is
about, because an attack must not be measured by anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trapmid.artifacts import checkpoints
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.artifacts.lineage import digest
from trapmid.config.evaluation import Evaluation
from trapmid.metrics import accuracy, signature
from trapmid.metrics.features import Poison
from trapmid.scoring.described import Loaded, Private, Setup, describe, inception_features
from trapmid.types import Trapdoor


class EvaluatorReference(NamedTuple):
    """The private training images, and the public ones, as one evaluator sees them; on the CPU."""

    features: Tensor  # (n, F) float32
    labels: Tensor  # (n,) int64
    inception: Tensor | None  # (n, 2048) float32; None: `frechet_features` does not ask for them
    public: Tensor  # (m, F) float32, of the public images of the evaluator's own data
    public_digest: str  # of all of these images

    @property
    def compared(self) -> Tensor:
        """The rows (n, F) that a Frechet distance compares with."""
        return self.features if self.inception is None else self.inception


class SignatureReference(NamedTuple):
    """A target's trapdoor signature, and how strongly images that no attack made carry it."""

    centres: Tensor  # (C, F) float64, the signature of every class
    train: Tensor  # (n,) float64 cosines of clean private training images
    poisoned: Tensor  # (n,) of the same with triggers
    public: Tensor  # (m,) of the public images of the target's own data
    public_digest: str  # of these images


def of_evaluator(
    loaded: Loaded, private: Private, public: Tensor, setup: Setup
) -> EvaluatorReference:
    """Describes the private training images, and public ones of those given (n, 3, S, S)."""
    images = private["train_images"]
    with_inception = setup.evaluation.frechet_features == "inception"
    return EvaluatorReference(
        features=describe(loaded, images, setup).features,
        labels=private["train_labels"],
        inception=inception_features(images, setup) if with_inception else None,
        public=describe(loaded, _spread(public, setup.evaluation), setup).features,
        public_digest=digest(public),
    )


def public_features(
    reference: EvaluatorReference, loaded: Loaded, public: Tensor, setup: Setup
) -> Tensor:
    """The features (m, F) of m of the public images (n, 3, S, S) that the attack used.

    `evaluation.public_images` bounds m: an evaluator may be slow, and there may be many. As in
    `public_cosines` they may be others than those of the evaluator's row.
    """
    if digest(public) == reference.public_digest:
        return reference.public
    return describe(loaded, _spread(public, setup.evaluation), setup).features


def _spread(public: Tensor, evaluation: Evaluation) -> Tensor:
    """As many images as `evaluation.public_images` allows, evenly spread over their order."""
    most = evaluation.public_images
    if most is None or len(public) <= most:
        return public
    return public[torch.arange(most) * len(public) // most]


def of_target(
    loaded: Loaded, private: Private, public: Tensor, setup: Setup
) -> SignatureReference | None:
    """The signature of a trapdoored target, and its cosines; None: it has no trapdoor.

    Args:
        loaded: the target.
        private: its private images.
        public: (m, 3, S, S) uint8, the negatives of the signature's ROC curve.
        setup: how to score; its seed, the target's, draws the triggers.
    """
    if loaded.trapdoor is None:
        return None
    train, size = private["train_images"], setup.evaluation.batch_size
    centres = signature.planted(loaded.model, loaded.trapdoor, train, setup.rt, size)
    poison = _poison(loaded.trapdoor, len(train), loaded.model.num_classes, setup)
    return SignatureReference(
        centres=centres,
        train=cosines(loaded, train, centres, setup),
        poisoned=cosines(loaded, train, centres, setup, poison),
        public=cosines(loaded, public, centres, setup),
        public_digest=digest(public),
    )


def public_cosines(
    reference: SignatureReference, loaded: Loaded, public: Tensor, setup: Setup
) -> Tensor:
    """The cosines (m,) of the public images (m, 3, S, S) that the attack used.

    They may be others than those of the target's row, e.g. FFHQ's: then they are described here.
    """
    if digest(public) == reference.public_digest:
        return reference.public
    return cosines(loaded, public, reference.centres, setup)


def cosines(
    loaded: Loaded, images: Tensor, centres: Tensor, setup: Setup, poison: Poison | None = None
) -> Tensor:
    """How strongly `images` (N, 3, S, S) carry the signature of their predicted class; (N,)."""
    described = describe(loaded, images, setup, poison)
    return signature.cosine_scores(described.features, described.predictions, centres)


# --- files --------------------------------------------------------------------------------------


def save_evaluator(
    file: Path, loaded: Loaded, private: Private, reference: EvaluatorReference
) -> None:
    """Writes `data/features/evaluators/<row>.pt`."""
    checkpoints.save(file, _about(loaded, private) | {"reference": reference._asdict()})


def save_target(
    file: Path, loaded: Loaded, private: Private, reference: SignatureReference | None
) -> None:
    """Writes `data/features/targets/<row>.pt`; without a trapdoor the reference is empty."""
    content = {} if reference is None else reference._asdict()
    checkpoints.save(file, _about(loaded, private) | {"reference": content})


def load_evaluator(
    file: Path, loaded: Loaded, private: Private, evaluation: Evaluation
) -> EvaluatorReference:
    """What `save_evaluator` wrote.

    Raises:
        CheckpointError: the file is missing, or is about another checkpoint, other private images
            or another `frechet_features`.
    """
    reference = EvaluatorReference(**_load(file, loaded, private))
    features = evaluation.frechet_features
    if (reference.inception is not None) != (features == "inception"):
        raise CheckpointError(f"{file}: made for other features than {features}; {_REMEDY}")
    return reference


def load_target(file: Path, loaded: Loaded, private: Private) -> SignatureReference | None:
    """What `save_target` wrote; None: the target has no trapdoor.

    Raises:
        CheckpointError: the file is missing, or is about another checkpoint or other private
            images.
    """
    content = _load(file, loaded, private)
    return SignatureReference(**content) if content else None


_REMEDY = "`dvc repro` renews it"


def _about(loaded: Loaded, private: Private) -> dict[str, Any]:
    return {"checkpoint": loaded.digest, "images": _train_digest(private)}


def _load(file: Path, loaded: Loaded, private: Private) -> Mapping[str, Any]:
    content = checkpoints.load(file)
    if content.get("checkpoint") != loaded.digest:
        raise CheckpointError(
            f"{file}: describes images with another checkpoint than the one that is scored; "
            f"{_REMEDY}"
        )
    if content.get("images") != _train_digest(private):
        raise CheckpointError(
            f"{file}: describes other private images than those of the attack's data; {_REMEDY}"
        )
    reference: Mapping[str, Any] = content["reference"]
    return reference


def _train_digest(private: Private) -> str:
    return digest(private["train_images"], private["train_labels"])


def _poison(trapdoor: Trapdoor, count: int, num_classes: int, setup: Setup) -> Poison:
    """Another list than the signature's: no image is judged by a signature that it is a part of."""
    generator = setup.rt.generator("signature", "poisoned")
    return Poison(trapdoor, accuracy.balanced_labels(count, num_classes, generator))
