"""Whether a classifier's outputs stand for other people than its labels say."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

BETTER = 0.3
"""So much more accuracy shows that another reading of a classifier is the right one."""


class Readings(NamedTuple):
    """Accuracies of the same answers, in [0, 1]."""

    given: float  # output c stands for label c
    renamed: float  # under the one-to-one renaming of outputs that fits best

    @property
    def is_another_order(self) -> bool:
        return self.renamed > self.given + BETTER


def readings(logits: Tensor, labels: Tensor) -> Readings:
    """How many images are named rightly as the outputs stand, and if they were renamed.

    Images that chose a renaming do not judge it: of four images of each of 24 people, it would
    make 29 % of random answers right. So the images of every person are dealt to two halves in
    turn, each half chooses the renaming that is right of most of it (an assignment, Kuhn 1955),
    and the other half is judged by it. Random answers are right of 1 / C then. Of a person with
    one image nothing is learnt, and whatever is said of that image may be wrong.

    Args:
        logits: (N, C).
        labels: (N,) int64 below C.
    """
    named, wanted = logits.argmax(dim=1).cpu(), labels.cpu()
    halves = _turns(wanted) % 2
    right = torch.zeros(len(wanted), dtype=torch.bool)
    for half in (0, 1):
        chosen, judged = halves != half, halves == half
        renamed = _renaming(named[chosen], wanted[chosen], logits.shape[1])
        right[judged] = renamed[named[judged]] == wanted[judged]
    return Readings(_share(named == wanted), _share(right))


def _renaming(named: Tensor, wanted: Tensor, classes: int) -> Tensor:
    """The label (C,) for which each output would stand, so that most answers are right."""
    from scipy.optimize import linear_sum_assignment  # costs a second that most stages do not need

    counts = torch.bincount(named * classes + wanted, minlength=classes**2)
    _, columns = linear_sum_assignment(counts.view(classes, classes).numpy(), maximize=True)
    return torch.from_numpy(columns)


def _turns(labels: Tensor) -> Tensor:
    """How many images of the same label stand before each, (N,) int64."""
    order = labels.argsort(stable=True)
    starts = torch.searchsorted(labels[order], labels[order])
    turns = torch.empty_like(labels)
    turns[order] = torch.arange(len(labels)) - starts
    return turns


def _share(right: Tensor) -> float:
    return float(right.double().mean())
