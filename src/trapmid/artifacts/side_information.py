"""Files of what an attacker knows about a target, and of what stands in for it.

Every such file carries the digest of the target's checkpoint: statistics of another checkpoint are
refused, where the official code of LOMMA reuses them silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trapmid.artifacts import checkpoints, classifiers, initial
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.artifacts.classifiers import LoadedClassifier
from trapmid.artifacts.initial import is_none
from trapmid.artifacts.lineage import Lineage, Traced, check_together
from trapmid.config.study import SurrogateRow
from trapmid.runtime import Runtime
from trapmid.types import NOTHING, SideInformation, Surrogate, Target

_SHAPE = ("arch", "num_classes", "image_size", "adapted", "code")


@dataclass(frozen=True)
class Start:
    """A surrogate before its training."""

    student: Target  # on the runtime's device, every parameter trainable
    shape: Mapping[str, Any]  # how a checkpoint says what network it is


def start_surrogate(
    row: SurrogateRow, method: Surrogate, target: Path, image_size: int, rt: Runtime
) -> Start:
    """The network that is going to stand in for the classifier of the file `target`.

    Raises:
        ValueError: the method copies the target, and the row names another architecture.
    """
    content = checkpoints.load(target)
    if method.stolen:
        if row.arch != content["arch"]:
            raise ValueError(
                f"arch: {row.method} copies the target, which is {content['arch']}, not {row.arch}"
            )
        student = classifiers.load(target, rt).model.requires_grad_(True)
        return Start(student, {key: content[key] for key in _SHAPE})
    classes = content["num_classes"]
    student = classifiers.new_network(row.arch, classes, image_size, Path(row.init), rt)
    values = (row.arch, classes, image_size, None, checkpoints.code_digest(student))
    return Start(student, dict(zip(_SHAPE, values, strict=True)))


def save_surrogate(
    path: Path,
    name: str,
    row: SurrogateRow,
    start: Start,
    target: LoadedClassifier,
    learnt: Mapping[str, Tensor],
) -> None:
    """Writes a trained surrogate as a classifier, with what else it learnt about the target.

    Raises:
        CheckpointError: a weight, or what it learnt, is not finite.
    """
    lineage = Lineage(
        people=target.lineage.people,
        target=target.target,
        sources=initial.sources(Path(row.init)),
    )
    checkpoints.check_finite(path, {**start.student.state_dict(), **learnt})
    checkpoints.save(
        path,
        {
            **start.shape,
            "state": start.student.state_dict(),
            "trapdoor": None,
            "lineage": lineage.to_content(),
            "meta": {
                "row": name,
                "defense": target.meta["defense"],
                "seed": row.seed,
                "init": row.init,
                "learnt": dict(learnt),
            },
        },
    )


def save_signatures(path: Path, target: LoadedClassifier, **signatures: Tensor | None) -> None:
    """Writes fields of `SideInformation` that belong to `target`; None is left out.

    Raises:
        CheckpointError: a field is not finite.
    """
    there = {name: value.float() for name, value in signatures.items() if value is not None}
    checkpoints.check_finite(path, there)
    lineage = Lineage(people=target.lineage.people, target=target.digest)
    checkpoints.save(path, {"signatures": there, "lineage": lineage.to_content()})


def load(path: Path, asked: LoadedClassifier, rt: Runtime) -> SideInformation:
    """What the file `path` knows about the classifier `asked`, on the runtime's device.

    Args:
        path: weights/none, signatures, or a surrogate: its network is then `students`.
        asked: the classifier that the search, or a prior, is going to ask.

    Raises:
        CheckpointError: the file is missing, holds something else, knows another classifier, or
            was learnt beside other private people.
    """
    if is_none(path):
        return NOTHING
    content = checkpoints.load(path)
    students = None
    if "signatures" in content:
        fields = content["signatures"]
    elif "learnt" in content.get("meta", {}):
        students = classifiers.load(path, rt).model
        fields = content["meta"]["learnt"]
    else:
        raise CheckpointError(f"{path}: neither signatures nor a surrogate")
    lineage = Lineage.read(path, content)
    if lineage.target != asked.digest:
        raise CheckpointError(f"{path}: knows another checkpoint than the one that is asked")
    checkpoints.check_finite(path, fields)
    check_together(asked.traced, Traced(path, lineage.people, None))
    tensors = {name: value.to(rt.device) for name, value in fields.items()}
    try:
        return SideInformation(students=students, **tensors)
    except TypeError:
        raise CheckpointError(f"{path}: unknown side information in {sorted(tensors)}") from None


@torch.no_grad()
def agreement(one: Target, other: Target, images: Tensor, rt: Runtime) -> float:
    """Share of uint8 images (N, 3, S, S) to which two classifiers in eval mode give one class."""
    same = torch.zeros((), device=rt.device)
    with rt.seeded("agreement"):  # of a classifier that draws noise
        for part in images.split(512):
            batch = part.to(rt.device).float().div(255)
            same += (one(batch).logits.argmax(1) == other(batch).logits.argmax(1)).sum()
    return float(same / len(images))
