"""What a number of params.yaml must hold: types that stand beside the field, `steps: Count`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any


@dataclass(frozen=True)
class Bound:
    """What the value of a field must hold: `Annotated[int, Bound(...)]` beside the field."""

    holds: Callable[[Any], bool]
    otherwise: str  # follows the value in the message


def _ascends(values: tuple[float, ...]) -> bool:
    return all(low < high for low, high in itertools.pairwise(values))


Count = Annotated[int, Bound(lambda n: n >= 1, "is under 1")]
Natural = Annotated[int, Bound(lambda n: n >= 0, "is negative")]
_MOST = 1e30  # far below what single precision holds, 3.4e38: torch raises an OverflowError there
Positive = Annotated[float, Bound(lambda x: 0 < x <= _MOST, f"is not in (0, {_MOST:g}]")]
NonNegative = Annotated[float, Bound(lambda x: 0 <= x <= _MOST, f"is not in [0, {_MOST:g}]")]
Share = Annotated[float, Bound(lambda x: 0 <= x <= 1, "is outside [0, 1]")]
PositiveShare = Annotated[float, Bound(lambda x: 0 < x <= 1, "is outside (0, 1]")]
OpenShare = Annotated[float, Bound(lambda x: 0 < x < 1, "is outside (0, 1)")]
Momentum = Annotated[float, Bound(lambda x: 0 <= x < 1, "is outside [0, 1)")]
Degrees = Annotated[float, Bound(lambda x: 0 <= x <= 180, "is outside [0, 180]")]
Radii = Annotated[tuple[OpenShare, ...], Bound(_ascends, "does not ascend")]
Milestones = Annotated[tuple[Count, ...], Bound(_ascends, "does not ascend")]


def check_milestones(milestones: tuple[int, ...], epochs: int) -> None:
    """Refuses a schedule whose last step no epoch reaches.

    Raises:
        ValueError: it names the field.
    """
    if milestones and milestones[-1] >= epochs:
        raise ValueError(f"milestones: {milestones[-1]} is not reached in {epochs} epochs")
