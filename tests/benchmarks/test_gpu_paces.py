"""As many steps as fit into the time that is left."""

from __future__ import annotations

import pytest
from gpu.paces import steps_within


@pytest.mark.parametrize(
    ("seconds", "each", "expected"),
    [(10.0, 0.01, 850), (1.0, 0.01, 85), (0.001, 0.01, 1), (1e6, 0.01, 6000)],
)
def test_steps_fill_85_per_cent_of_the_seconds(seconds: float, each: float, expected: int) -> None:
    """A start of three seconds, the same for any number of steps, does not count as one."""
    asked: list[int] = []

    def run(steps: int) -> float:
        asked.append(steps)
        return 3.0 + each * steps

    found = steps_within(seconds, run, most=6000)
    assert found == pytest.approx(expected, abs=1)
    assert asked == [4, 4, 12]


def test_no_more_steps_are_tried_than_are_wanted() -> None:
    asked: list[int] = []

    def run(steps: int) -> float:
        asked.append(steps)
        return 1.0 * steps

    assert steps_within(100.0, run, most=5) == 5
    assert asked == [4, 4, 5]


@pytest.mark.parametrize(("steps", "expected"), [(1, 21), (4, 48)])
def test_one_length_alone_is_timed_with_its_start(steps: int, expected: int) -> None:
    """An epoch of one batch. Of 100 seconds 85 are left: 85 / 4 steps, and 85 / (7 / 4)."""
    asked: list[int] = []

    def run(count: int) -> float:
        asked.append(count)
        return 3.0 + count

    assert steps_within(100.0, run, most=6000, trials=(steps, steps)) == expected
    assert asked == [steps, steps, steps]
