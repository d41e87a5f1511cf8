"""When triggers move, and when they have moved enough."""

from __future__ import annotations

import pytest
import torch

from trapmid.training.savings import NO_SAVINGS, Convergence
from trapmid.types import Progress


def epoch(convergence: Convergence, number: int, rates: list[float]) -> bool:
    """What it says before the first step of an epoch, which then has these rates."""
    said = convergence.reached(number)
    for rate in rates:
        assert convergence.reached(number) == said
        convergence.add(torch.tensor(rate))
    return said


def test_an_epoch_counts_as_a_whole_and_for_good() -> None:
    convergence = Convergence(0.5)
    epochs = [[0.2, 0.4], [1.0, 0.0, 0.2], [0.25, 0.75], [0.0, 0.0], [0.0]]
    said = [epoch(convergence, number, rates) for number, rates in enumerate(epochs)]
    assert said == [False, False, False, True, True]


def test_before_the_first_step_nothing_is_reached() -> None:
    assert not Convergence(1e-9).reached(0) and not Convergence(1e-9).reached(3)


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4])
def test_a_resumed_training_says_the_same(cut: int) -> None:
    epochs = [[0.2, 0.4], [0.6, 0.6], [0.1, 0.1], [0.9, 0.9], [0.0]]
    whole, first, second = Convergence(0.5), Convergence(0.5), Convergence(0.5)
    said = [epoch(whole, number, rates) for number, rates in enumerate(epochs)]
    parts = [epoch(first, number, epochs[number]) for number in range(cut)]
    second.load_state_dict(first.state_dict())
    parts += [epoch(second, number, epochs[number]) for number in range(cut, 5)]
    assert parts == said == [False, False, True, True, True]


def test_a_search_without_savings_moves_at_every_step() -> None:
    assert all(NO_SAVINGS.are_due(Progress(e, 3, s, 4)) for e in range(3) for s in range(4))
