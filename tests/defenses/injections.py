"""A toy setting in which triggers are injected: five classes, images of eight pixels."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from toy import ToyTarget, images, plan, runtime, seeded
from trapmid.training import fit, injection
from trapmid.types import Defense, Setting, Target

CLASSES, BATCH = 5, 8


def network(outputs: int) -> Target:
    made: Target = seeded(ToyTarget, outputs, seed=outputs)
    return made


def injected(defense: Defense) -> injection.Objective:
    """What a defence with a trapdoor learns by there."""
    made = defense.objective(
        Setting(
            image_shape=(3, 8, 8),
            num_classes=CLASSES,
            new_network=network,
            new_optimizer=partial(fit.make_optimizer, plan()),
            rt=runtime(),
        )
    )
    assert isinstance(made, injection.Objective)
    return made


def batch(step: int) -> tuple[Tensor, Tensor]:
    labels = torch.randint(CLASSES, (BATCH,), generator=torch.Generator().manual_seed(step))
    return images(BATCH, seed=step), labels
