"""dlib's recogniser: what is cut of an image, and what is said where it is not installed."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from trapmid import wiring
from trapmid.nets import dlib_resnet as dlib


@pytest.mark.parametrize(
    "make", [wiring.judge("dlib"), lambda size: wiring.target("dlib_head")(2, size)]
)
def test_dlib_that_is_not_installed_is_one_line(make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"^dlib: not installed; `pip install --editable '\.\[faces\]'`$"
    ):
        make(32)


@pytest.mark.parametrize("size", [32, 64, 108])
def test_a_chip_has_the_eyes_where_dlib_puts_them(size: int) -> None:
    """Two bright spots at CelebA's eyes come out at dlib's."""
    images = torch.zeros(1, 3, size, size)
    ys, xs = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
    for x, y in ((34.5, 56.3), (72.8, 56.2)):
        gap = ((xs * 108 / size - x) ** 2 + (ys * 108 / size - y) ** 2) / 18
        images[0] += torch.exp(-gap / 2)
    chip = dlib.chips(images)[0, 0]
    assert chip.shape == (150, 150)
    for half, (x, y) in ((slice(0, 75), (47.74, 47.14)), (slice(75, 150), (100.28, 47.12))):
        weight = chip[:, half] / chip[:, half].sum()
        column = torch.arange(150)[half].float()
        assert float((weight.sum(0) * column).sum()) == pytest.approx(x, abs=1)
        assert float((weight.sum(1) * torch.arange(150).float()).sum()) == pytest.approx(y, abs=1)


def test_a_chip_of_one_colour_is_that_colour_beyond_the_border_too() -> None:
    assert torch.allclose(dlib.chips(torch.full((1, 3, 32, 32), 0.25)), torch.tensor(0.25))
