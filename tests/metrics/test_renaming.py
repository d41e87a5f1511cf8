"""Whether outputs stand for other people: on answers of which the best renaming is known."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trapmid.metrics import renaming


def answers(named: Tensor, classes: int) -> Tensor:
    return F.one_hot(named, classes).float()


def test_answers_in_the_given_order() -> None:
    labels = torch.arange(5).repeat(4)
    assert renaming.readings(answers(labels, 5), labels) == (1.0, 1.0)


@pytest.mark.parametrize("by_person", [True, False])
def test_answers_in_another_order(by_person: bool) -> None:
    """Whether a person's two images stand together or not, one is in each half."""
    labels = torch.arange(6).repeat_interleave(2) if by_person else torch.arange(6).repeat(2)
    found = renaming.readings(answers((labels + 2) % 6, 6), labels)
    assert found == (0.0, 1.0) and found.is_another_order


def test_a_renaming_is_judged_by_the_images_that_did_not_choose_it() -> None:
    """By every renaming of four people, tried one by one."""
    stream = torch.Generator().manual_seed(0)
    labels = torch.arange(4).repeat_interleave(6)
    order = torch.tensor([2, 0, 3, 1])
    known = torch.rand(24, generator=stream) < 0.7
    named = torch.where(known, order[labels], torch.randint(4, (24,), generator=stream))
    halves = torch.arange(24) % 2
    right = 0
    for half in (0, 1):
        own, other = halves != half, halves == half
        scores = {
            names: int((torch.tensor(names)[named[own]] == labels[own]).sum())
            for names in permutations(range(4))
        }
        best = max(scores, key=lambda names: scores[names])
        assert list(scores.values()).count(scores[best]) == 1
        right += int((torch.tensor(best)[named[other]] == labels[other]).sum())
    found = renaming.readings(answers(named, 4), labels)
    assert found.renamed == right / 24
    assert found.given == float((named == labels).double().mean())


@pytest.mark.parametrize(("people", "images"), [(4, 4), (10, 4), (24, 4), (100, 1)])
def test_random_answers_are_in_no_other_order(people: int, images: int) -> None:
    """Right of 1 / C under any renaming: the mean of 200 draws is close to it.

    Within eight deviations of separate images: those of one draw, who share renamings, hang
    together a little. Chosen and judged by the same four images of 24 people it would be 0.29.
    """
    stream = torch.Generator().manual_seed(0)
    labels = torch.arange(people).repeat_interleave(images)
    found = []
    for _ in range(200):
        named = torch.randint(people, (len(labels),), generator=stream)
        found.append(renaming.readings(answers(named, people), labels).renamed)
    deviation = (1 / people * (1 - 1 / people) / (200 * len(labels))) ** 0.5
    assert abs(sum(found) / 200 - 1 / people) < 8 * deviation
