"""Identity losses against the formulas of the papers, row by row."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from toy import generator
from trapmid import losses
from trapmid.losses import Smoothing

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


def poincare_by_hand(row: list[float], label: int) -> float:
    """The distance in the ball, number by number, with the rim that `poincare` keeps away from."""
    u = [x / sum(map(abs, row)) for x in row]
    v = [1 - 1e-4 if c == label else 0.0 for c in range(len(row))]
    gap = sum((a - b) ** 2 for a, b in zip(u, v, strict=True))
    rims = max(1 - sum(a * a for a in u), 1e-4) * (1 - sum(b * b for b in v))
    return math.acosh(1 + 2 * gap / rims)


def logit_by_hand(row: list[float], label: int) -> float:
    """The lower, the more the label is said, in units that no softmax and no rival bounds."""
    return -row[label]


BY_HAND = {
    "ce": ce_by_hand,
    "margin": margin_by_hand,
    "poincare": poincare_by_hand,
    "logit": logit_by_hand,
}


def test_every_loss_has_a_formula() -> None:
    assert set(BY_HAND) == set(losses.IDENTITY)


@pytest.mark.parametrize("name", BY_HAND)
def test_losses_equal_their_formulas(name: str) -> None:
    logits = torch.cat([LOGITS, 50 * LOGITS])  # confident, right and wrong, too
    labels = LABELS.repeat(2)
    found = losses.IDENTITY[name](logits, labels)
    wanted = [BY_HAND[name](r, y) for r, y in zip(logits.tolist(), labels.tolist(), strict=True)]
    assert found.tolist() == pytest.approx(
        wanted, rel=1e-7 if name == "poincare" else 1e-9, abs=1e-9
    )


def test_published_values_of_the_distance_in_the_ball() -> None:
    """Computed by an independent program in float64, with as many classes as people, too."""
    i, j = torch.arange(4.0)[:, None], torch.arange(6.0)[None]
    logits = 3 * torch.sin(0.7 * (6 * i + j).double())
    found = losses.poincare(logits, torch.tensor([0, 3, 5, 1]))
    assert found.tolist() == pytest.approx([10.380739, 10.313283, 10.519893, 9.957996], abs=1e-6)
    flat = losses.poincare(torch.ones(1, 1000, dtype=torch.float64), torch.tensor([7]))
    assert flat.item() == pytest.approx(9.903438, abs=1e-6)
    noise = torch.randn(64, 1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for own, wanted in {0: 9.907, 5: 9.894, 10: 9.882, 20: 9.857, 60: 9.766}.items():
        noise[:, 0] = own
        mean = losses.poincare(noise, torch.zeros(64, dtype=torch.long)).mean()
        assert mean.item() == pytest.approx(wanted, abs=2e-3)


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
    assert slope(losses.minus_logit).tolist() == [[-1, 0, 0]]  # nor does it look at a rival


# --- label smoothing ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "wanted"), [(0.0, 3.364001), (-0.025, 3.370361), (-0.05, 3.376720)]
)
def test_negative_smoothing_has_its_golden_values(factor: float, wanted: float) -> None:
    i, j = torch.meshgrid(torch.arange(4), torch.arange(6), indexing="ij")
    logits, labels = 3 * torch.sin(0.7 * (6.0 * i + j)), torch.tensor([0, 3, 5, 1])
    loss = losses.smoothed_cross_entropy(logits, labels, factor)
    assert loss.shape == (4,)
    assert loss.mean().item() == pytest.approx(wanted, abs=2e-6)


@pytest.mark.parametrize("factor", [0.1, 0.5])
def test_positive_smoothing_is_torchs(factor: float) -> None:
    logits, labels = torch.randn(5, 7, generator=generator()), torch.arange(5)
    ours = losses.smoothed_cross_entropy(logits, labels, factor)
    theirs = F.cross_entropy(logits, labels, label_smoothing=factor, reduction="none")
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_the_official_schedule_with_its_jump() -> None:
    smoothing = Smoothing(factor=-0.05, ramp=(0.5, 0.75), jump=True)
    factors = [smoothing.at(epoch, 100) for epoch in range(100)]
    assert factors[:50] == [0.0] * 50 and factors[75:] == [-0.05] * 25
    for epoch in range(50, 75):
        assert factors[epoch] == pytest.approx(-0.05 * (epoch - 49) / 50)
    assert factors[74] == pytest.approx(-0.025)


def test_the_schedule_without_its_jump() -> None:
    smoothing = Smoothing(factor=-0.05, ramp=(0.5, 0.75), jump=False)
    factors = [smoothing.at(epoch, 100) for epoch in range(100)]
    assert factors[49] == 0 and factors[74] == pytest.approx(-0.05) and factors[75] == -0.05
    steps = [later - earlier for earlier, later in pairwise(factors[49:76])]
    assert max(steps) <= 1e-9 and steps[0] == pytest.approx(-0.05 / 25)


def test_a_share_of_the_epochs_is_not_a_rounding_error_shorter() -> None:
    """0.29 and 0.57 of 100 are 28.999 and 56.999 in floats; of 7 half is 4, three quarters 5."""
    smoothing = Smoothing(factor=-2.8, ramp=(0.29, 0.57), jump=False)
    found = [smoothing.at(epoch, 100) for epoch in (28, 29, 30, 55, 56, 57)]
    assert found == pytest.approx([0.0, -0.1, -0.2, -2.7, -2.8, -2.8])
    smoothing = Smoothing(factor=-1.0, ramp=(0.5, 0.75), jump=False)
    assert [smoothing.at(epoch, 7) for epoch in range(7)] == [0, 0, 0, 0, -1, -1, -1]


@pytest.mark.parametrize("ramp", [(0.8, 0.2), (-0.1, 0.5), (0.5, 1.5)])
def test_a_wrong_ramp(ramp: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"ramp: .* must ascend inside \[0, 1\]"):
        Smoothing(factor=-0.05, ramp=ramp, jump=True)


def test_poincare_has_a_gradient_on_the_rim() -> None:
    """T5: logits that say one class alone, the right one or another, and none at all."""
    logits = torch.tensor([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [1e-3, 0.0, 0.0], [0.0, 0.0, 0.0]])
    logits.requires_grad_(True)
    loss = losses.poincare(logits, torch.zeros(4, dtype=torch.int64))
    (slope,) = torch.autograd.grad(loss.sum(), logits)
    assert loss.isfinite().all() and slope.isfinite().all()
    assert loss[0] < loss[1]
