"""The noise of a drawn image."""

from __future__ import annotations

import pytest
import torch

from trapmid.data.drawing import surroundings


def test_grain_is_noise_of_variance_one_and_whole_numbers_decide_it() -> None:
    grain = surroundings._grain(torch.Size((400, 500)), seed=3)
    assert abs(grain.mean()) < 0.01 and abs(grain.var() - 1) < 0.01
    assert 3 < grain.abs().max() <= 2 * 3**0.5  # four uniform numbers reach no further
    bits = torch.empty(400, 500, dtype=torch.int64)
    bits.random_(generator=torch.Generator().manual_seed(3))
    first = int(bits[0, 0])
    parts = [first >> 15 * part & 32767 for part in range(4)]
    assert grain[0, 0].item() == pytest.approx((sum(parts) - 65534) / (2**30 / 3) ** 0.5)
