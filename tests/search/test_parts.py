"""Rows that come in parts: joined in order, and no image twice."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trapmid.search import parts


def part(begin: int, rows: int) -> dict[str, Tensor]:
    labels = torch.arange(begin, begin + rows)
    return {"labels": labels, "images": labels[:, None, None, None] * torch.ones(rows, 3, 2, 2)}


def test_images_are_moved_and_not_copied() -> None:
    """50,000 of 224 pixels are 30 GB: they are not to be there twice."""
    given = [part(0, 2), part(2, 0), part(2, 1)]
    found = parts.moved_together(given)
    assert given == [{}, {}, {}]
    assert found["labels"].tolist() == [0, 1, 2]
    assert torch.equal(found["images"], part(0, 3)["images"])


@pytest.mark.parametrize(
    ("block", "sizes"), [(4 * 48, [4, 4, 1, 1, 1]), (10**9, [1] * 11), (1, [1] * 11)]
)
def test_small_parts_become_large_ones(
    monkeypatch: pytest.MonkeyPatch, block: int, sizes: list[int]
) -> None:
    """A row of 48 bytes; 11 parts of one row, one after the other."""
    monkeypatch.setattr(parts, "_BLOCK", block)
    kept: list[dict[str, Tensor]] = []
    for number in range(11):
        kept.append(part(number, 1))
        parts.join_small(kept)
    assert [len(one["labels"]) for one in kept] == sizes
    assert torch.equal(parts.joined(kept)["images"], part(0, 11)["images"])
