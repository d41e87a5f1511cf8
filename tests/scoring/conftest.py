"""The images and classifiers of the toy study."""

from __future__ import annotations

import pytest
import torch
from painted import CLASSES, RT, SIZE, Checkpoint, EvaluatorNetwork, Trapped, faces, stored
from torch import Tensor

from trapmid.training.trapdoors import Blend


@pytest.fixture
def private() -> dict[str, Tensor]:
    content = {}
    for seed, (split, count) in enumerate((("train", 10), ("val", 3), ("test", 4))):
        labels = torch.arange(CLASSES).repeat_interleave(count)
        content |= {f"{split}_images": stored(faces(labels, seed)), f"{split}_labels": labels}
    return content


@pytest.fixture
def public() -> Tensor:
    return torch.randint(0, 200, (30, 3, SIZE, SIZE), dtype=torch.uint8, generator=RT.generator())


@pytest.fixture
def evaluator() -> Checkpoint:
    meta = {"val_accuracy": 1.0, "defense": "none", "facts": {}}
    return Checkpoint(EvaluatorNetwork(), None, meta, "evaluator")


@pytest.fixture
def trapped() -> Checkpoint:
    triggers = torch.zeros(CLASSES, 3, SIZE, SIZE)
    triggers[:, 0, 0, :CLASSES] = 2 * torch.eye(CLASSES)
    meta = {"val_accuracy": 1.0, "defense": "trapmid", "facts": {}}
    return Checkpoint(Trapped(), Blend(triggers, 0.5), meta, "trapped")
