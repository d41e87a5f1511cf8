"""Bounds stand beside their fields and are checked wherever a block is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, get_args

import pytest

from trapmid.config import bounds, params
from trapmid.config.bounds import Bound, Count, Milestones, Momentum, Positive
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


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("Count", [1, 2], [0, -1]),
        ("Natural", [0, 1], [-1]),
        ("Positive", [1e-30, 1e30], [0, -1e-30, 2e30]),
        ("NonNegative", [0, 1e30], [-1e-30, 2e30]),
        ("Share", [0, 1], [-0.01, 1.01]),
        ("PositiveShare", [0.01, 1], [0, 1.01]),
        ("OpenShare", [0.01, 0.99], [0, 1]),
        ("Momentum", [0, 0.99], [-0.01, 1]),
        ("Degrees", [0, 180], [-0.01, 180.01]),
        ("Radii", [(), (0.1,), (0.1, 0.2)], [(0.1, 0.1), (0.2, 0.1)]),
        ("Milestones", [(), (1,), (1, 2)], [(1, 1), (2, 1)]),
    ],
)
def test_what_a_bound_holds(name: str, inside: list[Any], outside: list[Any]) -> None:
    """Both ends of each, beside what the name and the message say."""
    (bound,) = [one for one in get_args(getattr(bounds, name)) if isinstance(one, Bound)]
    assert [bound.holds(value) for value in inside] == [True] * len(inside)
    assert [bound.holds(value) for value in outside] == [False] * len(outside)
