"""A start that learns a face recogniser's embedding: a row of `pretrained` with a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from trapmid.artifacts import checkpoints, classifiers
from trapmid.artifacts.lineage import Lineage, file_digest
from trapmid.augment import TrapAugmentation
from trapmid.config.study import ClassifierTraining, PretrainedRow
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


def train(
    row: PretrainedRow,
    plan: ClassifierTraining,
    augmentation: TrapAugmentation | None,
    public: Tensor,
    rt: Runtime,
    checkpointer: Checkpointer,
) -> Learnt:
    """Trains the network of `row` on public images (n, 3, S, S) uint8 of anybody.

    Every twentieth of them, in an order of the seed's, shows how well it has learnt.

    Raises:
        ValueError: the teacher is not installed, or `init` does not fit.
        CheckpointError: `init` cannot be used.
        DivergedError: a loss is not finite.
    """
    order = torch.randperm(len(public), generator=rt.generator("held out of an imitation"))
    aside = len(public) // _HELD_OUT
    faces = Faces(public[order[aside:]], public[order[:aside]])
    size = public.shape[-1]
    model = classifiers.new_network(row.arch, dlib_resnet.DIM, size, Path(row.init), rt)
    teacher = dlib_resnet.Recogniser()
    explained = imitation.imitate(model, faces, teacher, augmentation, plan, rt, checkpointer)
    return Learnt(model, explained)


def save(
    path: Path, name: str, row: PretrainedRow, learnt: Learnt, image_size: int, people: str
) -> None:
    """Writes the checkpoint of a start; `people`: from whom its images were parted.

    Its head has the embedding's numbers for classes, and whoever starts from it has a new one.

    Raises:
        CheckpointError: a weight is not finite.
    """
    state = learnt.model.state_dict()
    checkpoints.check_finite(path, state)
    lineage = Lineage(people=people, target=None, sources={"init": file_digest(Path(row.init))})
    checkpoints.save(
        path,
        {
            "arch": row.arch,
            "num_classes": learnt.model.num_classes,
            "image_size": image_size,
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
