"""What is written of a tensor: its values, and nothing of where they were."""

from __future__ import annotations

import torch

from trapmid.artifacts import portable


def test_a_tensor_that_stands_alone_is_not_copied() -> None:
    images = torch.rand(4, 3, 8, 8)
    found = portable.of({"rows": {"images": [images.requires_grad_(True)]}})["rows"]["images"][0]
    assert found.data_ptr() == images.data_ptr() and not found.requires_grad


def test_no_two_share_memory_and_none_brings_more_than_its_values() -> None:
    images = torch.rand(4, 3, 8, 8)
    given = {
        "all": images,
        "again": images,
        "part": images[1:3],
        "turned": images.mT,
        "no": images[:0],
    }
    found = portable.of(given)
    assert all(torch.equal(found[name], given[name]) for name in given)
    assert all(value.untyped_storage().nbytes() == value.nbytes for value in found.values())
    places = {value.untyped_storage().data_ptr() for value in found.values()}
    assert len(places) == len(given) and all(value.is_contiguous() for value in found.values())
