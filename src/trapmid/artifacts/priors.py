"""Priors between files and memory: started, saved, and loaded strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trapmid import wiring
from trapmid.artifacts import checkpoints, initial
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.artifacts.classifiers import LoadedClassifier
from trapmid.artifacts.lineage import Lineage, Traced, check_together, file_digest
from trapmid.nets import stylegan2
from trapmid.runtime import Runtime
from trapmid.types import Prior, PriorTraining


@dataclass(frozen=True)
class LoadedPrior:
    """A prior from its checkpoint: on the runtime's device, in eval mode, frozen."""

    prior: Prior
    path: Path
    image_size: int
    lineage: Lineage


def start(
    training: PriorTraining, image_size: int, num_classes: int, init: Path, rt: Runtime
) -> Prior:
    """A new prior on the runtime's device, with the initial weights that `init` names."""
    with rt.seeded("initial weights", "prior"):
        prior = training.make(image_size, num_classes)
    state = initial.initial_state(init)
    if isinstance(state, str):
        if state != initial.RANDOM:
            raise ValueError(f"init: {init} does not fit a prior; use weights/random or a file")
    else:
        _check_size(init, prior)
        try:
            prior.start_from(state)
        except ValueError as error:
            raise CheckpointError(f"{init}: {error}") from None
    return rt.place(prior)


def check_start(init: Path, about: Traced) -> None:
    """Refuses to start from a prior that knows what the new one must not know.

    Args:
        init: as of `start`; weights that do not say where they come from pass.
        about: the people beside whom the new prior learns, and the target that it asks; a public
            prior asks none.

    Raises:
        CheckpointError: the prior at `init` learnt beside other people, or from another target.
    """
    if not init.is_file() or initial.is_word(init):
        return
    content = checkpoints.load_foreign(init)
    if "lineage" not in content:
        return
    lineage = Lineage.read(init, content)
    check_together(about, Traced(init, lineage.people, lineage.target))
    if about.target is None and lineage.target is not None:
        raise CheckpointError(
            f"{init}: learnt from a target, of which a public prior knows nothing"
        )


def _check_size(init: Path, prior: Prior) -> None:
    """Refuses converted weights of a generator that is not the row's: no shape tells its bound."""
    wanted, found = getattr(prior, "size", None), checkpoints.load_foreign(init).get("size")
    if isinstance(wanted, stylegan2.Size) and isinstance(found, Mapping):
        for key, value in vars(wanted).items():
            if found.get(key, value) != value:
                raise CheckpointError(
                    f"{init}: is of a generator whose {key} is {found[key]}, that of the row is "
                    f"{value}"
                )


def save(
    path: Path, training: str, block: Any, image_size: int, prior: Prior, lineage: Lineage
) -> None:
    """Writes the checkpoint of a trained prior; `block` rebuilds its training.

    Raises:
        CheckpointError: a weight is not finite.
    """
    checkpoints.check_finite(path, prior.state_dict())
    checkpoints.save(
        path,
        {
            "training": training,
            "block": block,
            "image_size": image_size,
            "num_classes": prior.num_classes,
            "state": prior.state_dict(),
            "code": checkpoints.code_digest(prior),
            "lineage": lineage.to_content(),
        },
    )


def load(path: Path, rt: Runtime) -> LoadedPrior:
    """A saved prior.

    Raises:
        CheckpointError: the file is missing, is no prior, or belongs to other code.
    """
    content = _content(path)
    training = wiring.prior_training(content["training"], content["block"], f"{path}: block")
    prior = training.make(content["image_size"], content["num_classes"])
    checkpoints.check_code(path, content, prior)
    checkpoints.load_strictly(path, prior, content["state"])
    return LoadedPrior(
        prior=rt.place(prior).eval().requires_grad_(False),
        path=path,
        image_size=content["image_size"],
        lineage=Lineage.read(path, content),
    )


def _content(path: Path) -> dict[str, Any]:
    content = checkpoints.load(path)
    if "training" not in content:
        raise CheckpointError(f"{path}: not a prior; no 'training'")
    return content


def check_fits(loaded: LoadedPrior, asked: LoadedClassifier) -> None:
    """Refuses a prior with which the classifier `asked` cannot be attacked.

    Raises:
        CheckpointError: its images have another size, it knows other classes, was learnt beside
            other private people, or by asking another target.
    """
    path, classes, size = loaded.path, loaded.prior.num_classes, loaded.image_size
    if size != asked.image_size:
        raise CheckpointError(
            f"{path}: makes images of {size} pixels, {asked.path} sees {asked.image_size}"
        )
    if classes not in (1, asked.model.num_classes):
        raise CheckpointError(
            f"{path}: knows {classes} classes, {asked.path} has {asked.model.num_classes}"
        )
    check_together(asked.traced, Traced(path, loaded.lineage.people, loaded.lineage.target))


def export(prior: Path, file: Path) -> str:
    """Writes a saved prior as initial weights for others: its state alone, in half precision.

    Returns:
        The SHA-256 of the file, hexadecimal.

    Raises:
        CheckpointError: `prior` is missing, damaged, or no prior.
    """
    state = {
        name: value.to(torch.float16) if value.is_floating_point() else value
        for name, value in _content(prior)["state"].items()
    }
    checkpoints.check_finite(file, state)  # half precision ends at 65,504
    checkpoints.save(file, {"state": state})
    return file_digest(file)


@torch.no_grad()
def samples(prior: Prior, num_classes: int, rt: Runtime) -> Tensor:
    """Eight images of each of up to eight classes; of one class, five rows.

    Returns:
        (rows, 8, 3, S, S) float32 on the CPU.
    """
    with rt.seeded("samples"):
        rows = min(8, num_classes) if num_classes > 1 else 5
        labels = torch.arange(rows).repeat_interleave(8) % num_classes
        latents = torch.randn(len(labels), prior.latent_dim)
        images: Tensor = prior(latents.to(rt.device), labels.to(rt.device)).cpu()
    return torch.stack(images.split(8))
