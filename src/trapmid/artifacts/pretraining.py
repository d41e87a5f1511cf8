"""A start that learns a face recogniser's embedding: a row of `pretrained` with a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import torch

from trapmid.artifacts import checkpoints, classifiers, initial
from trapmid.artifacts.lineage import Lineage
from trapmid.config.study import ClassifierTraining, PretrainedRow, TargetRow
from trapmid.nets import dlib_resnet
from trapmid.runtime import Runtime
from trapmid.training import imitation
from trapmid.training.imitation import Faces
from trapmid.types import Checkpointer, Target

_HELD_OUT = 20  # one in so many


class Learnt(NamedTuple):
    """A network whose logits are what its teacher says."""

    model: Target
    explained: float | None  # share of the variance of the teacher's held-out answers, at most 1

    def facts(self) -> dict[str, float | None]:
        """What the records of its training say."""
        parameters = sum(p.numel() for p in self.model.parameters())
        return {"parameters": parameters, "explained": self.explained}


def is_taught(row: TargetRow) -> TypeGuard[PretrainedRow]:
    """Whether a row of classifiers has a teacher, and learns from public images alone."""
    return isinstance(row, PretrainedRow) and row.teacher is not None


def train(
    row: PretrainedRow,
    plan: ClassifierTraining,
    defense: Any,
    content: Mapping[str, Any],
    rt: Runtime,
    checkpointer: Checkpointer,
) -> Learnt:
    """Trains the network of `row` on the images of a public.pt, which show anybody.

    Every twentieth of them, in an order of the seed's, shows how well it has learnt.

    Args:
        defense: `none`, for its augmentation; see `PretrainedRow`.
        content: of the public.pt, see `lineage.public_content`.

    Raises:
        ValueError: the teacher is not installed, or `init` does not fit.
        CheckpointError: `init` cannot be used.
        DivergedError: a loss is not finite.
    """
    public = content["images"]
    order = torch.randperm(len(public), generator=rt.generator("held out of an imitation"))
    aside = len(public) // _HELD_OUT
    faces = Faces(public[order[aside:]], public[order[:aside]])
    size = public.shape[-1]
    model = classifiers.new_network(row.arch, dlib_resnet.DIM, size, Path(row.init), rt)
    teacher = dlib_resnet.Recogniser()
    view = defense.augmentation
    explained = imitation.imitate(model, faces, teacher, view, plan, rt, checkpointer)
    return Learnt(model, explained)


def save(
    path: Path, name: str, row: PretrainedRow, learnt: Learnt, content: Mapping[str, Any]
) -> None:
    """Writes the checkpoint of a start; `content` is that of the public.pt that it learnt from.

    Its head has the embedding's numbers for classes, and whoever starts from it has a new one.

    Raises:
        CheckpointError: a weight is not finite.
    """
    state = learnt.model.state_dict()
    checkpoints.check_finite(path, state)
    people = content["people"]
    lineage = Lineage(people=people, target=None, sources=initial.sources(Path(row.init)))
    checkpoints.save(
        path,
        {
            "arch": row.arch,
            "num_classes": learnt.model.num_classes,
            "image_size": content["images"].shape[-1],
            "state": state,
            "code": checkpoints.code_digest(learnt.model),
            "lineage": lineage.to_content(),
            "meta": {
                "row": name,
                "teacher": row.teacher,
                "seed": row.seed,
                "init": row.init,
                "explained": learnt.explained,
            },
        },
    )
