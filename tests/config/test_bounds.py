"""Bounds stand beside their fields and are checked wherever a block is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from trapmid.config import params
from trapmid.config.bounds import Count, Milestones, Momentum, Positive
from trapmid.config.params import ParamsError


@dataclass(frozen=True, kw_only=True)
class Bounded:
    steps: Count
    lr: Positive
    limit: Count | None
    betas: tuple[Momentum, Momentum]
    milestones: Milestones
    options: dict[str, Any] = field(default_factory=dict)


BOUNDED: dict[str, Any] = {
    "steps": 1,
    "lr": 0.1,
    "limit": None,
    "betas": [0, 0.9],
    "milestones": [1, 2],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, r"x\.steps: 0 is under 1$"),
        ({"lr": 0}, r"x\.lr: 0\.0 is not in \(0, 1e\+30\]$"),
        ({"lr": float("nan")}, r"x\.lr: nan is not finite$"),
        ({"limit": 0}, r"x\.limit: 0 is under 1$"),
        ({"betas": [0, 1]}, r"x\.betas\[1\]: 1\.0 is outside \[0, 1\)$"),
        ({"milestones": [2, 2]}, r"x\.milestones: \[2, 2\] does not ascend$"),
        ({"milestones": [0]}, r"x\.milestones\[0\]: 0 is under 1$"),
    ],
)
def test_a_bound_stands_beside_its_field(change: dict[str, Any], message: str) -> None:
    assert params.build(Bounded, BOUNDED, "x").options == {}  # what has a default may be left out
    with pytest.raises(ParamsError, match=message):
        params.build(Bounded, BOUNDED | change, "x")
