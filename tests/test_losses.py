"""Identity losses against the formulas of the papers, row by row."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from trapmid import losses

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(6, 5, generator=GENERATOR, dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2, 3, 4, 0])


def ce_by_hand(row: list[float], label: int) -> float:
    return math.log(sum(math.exp(x) for x in row)) - row[label]


def margin_by_hand(row: list[float], label: int) -> float:
    """The official code sorts: the rival is the runner-up where the label leads, else the first."""
    order = sorted(range(len(row)), key=lambda c: row[c])
    rival = order[-2] if order[-1] == label else order[-1]
    return row[rival] - row[label]


BY_HAND = {"ce": ce_by_hand, "margin": margin_by_hand}


def test_every_loss_has_a_formula() -> None:
    assert set(BY_HAND) == set(losses.IDENTITY)


@pytest.mark.parametrize("name", BY_HAND)
def test_losses_equal_their_formulas(name: str) -> None:
    logits = torch.cat([LOGITS, 50 * LOGITS])  # confident, right and wrong, too
    labels = LABELS.repeat(2)
    found = losses.IDENTITY[name](logits, labels)
    wanted = [BY_HAND[name](r, y) for r, y in zip(logits.tolist(), labels.tolist(), strict=True)]
    assert found.tolist() == pytest.approx(wanted, rel=1e-9, abs=1e-9)


def test_margin_moves_the_label_and_its_rival_by_one_over_the_batch() -> None:
    logits = LOGITS.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(losses.max_margin(logits, LABELS).mean(), logits)
    wanted = torch.zeros_like(LOGITS)
    for i, label in enumerate(LABELS.tolist()):
        others = [c for c in range(5) if c != label]
        rival = max(others, key=lambda c: LOGITS[i, c].item())
        wanted[i, label], wanted[i, rival] = -1 / len(LABELS), 1 / len(LABELS)
    assert torch.allclose(slope, wanted, rtol=1e-12)


def test_margin_does_not_vanish_where_cross_entropy_does() -> None:
    def slope(loss: object) -> Tensor:
        logits = torch.tensor([[60.0, 0.0, -5.0]], requires_grad=True)
        (found,) = torch.autograd.grad(loss(logits, torch.tensor([0])).sum(), logits)
        return found

    assert slope(losses.cross_entropy).abs().max() < 1e-20
    assert slope(losses.max_margin).tolist() == [[-1, 1, 0]]
