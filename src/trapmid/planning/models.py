"""Networks and images of random content, of the sizes that a unit has."""

from __future__ import annotations

import json
import math
from typing import Any

import torch
from torch import Tensor

from trapmid import wiring
from trapmid.artifacts import judge_training
from trapmid.planning.units import Unit
from trapmid.runtime import Runtime
from trapmid.types import Judge, Prior, Target


def network(unit: Unit, outputs: int) -> Target:
    return wiring.target(unit.arch)(outputs, unit.image_size)


def placed(unit: Unit, rt: Runtime) -> Target:
    return rt.place(network(unit, unit.classes)).eval().requires_grad_(False)


def loaded_prior(unit: Unit, rt: Runtime) -> Prior:
    return made(unit.prior, unit.prior_block, unit, rt).eval().requires_grad_(False)


def judge_of(unit: Unit, rt: Runtime) -> Judge:
    return rt.place(wiring.judge(unit.method)(judge_training.image_size(unit.image_size)))


def made(method: str, block: str, unit: Unit, rt: Runtime) -> Prior:
    training = wiring.prior_training(method, grouped(json.loads(block), 2))  # of a look at two
    classes = 1 if method == "gmi" else unit.classes
    return rt.place(training.make(unit.image_size, classes))


def grouped(block: dict[str, Any], images: int) -> dict[str, Any]:
    """A block whose critic compares groups of so few images, if it does; it works no less."""
    return block | ({"group": math.gcd(block["group"], images)} if "group" in block else {})


def random_images(count: int, size: int) -> Tensor:
    return torch.randint(256, (count, 3, size, size), dtype=torch.uint8)
