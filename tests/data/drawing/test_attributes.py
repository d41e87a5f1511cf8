"""CelebA's yes/no attributes of drawn people."""

from __future__ import annotations

import torch

from trapmid.data.drawing.attributes import binary_attributes
from trapmid.data.drawing.vectors import ATTRIBUTES, identity_vectors


def test_binary_attributes_follow_the_vectors() -> None:
    vectors = identity_vectors(range(1000), seed=1)
    marks = binary_attributes(vectors)
    assert len(marks) >= 12 and list(marks) == sorted(marks)
    for name, mark in marks.items():
        assert mark.shape == (1000,) and set(mark.tolist()) == {-1, 1}, name
    colours = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair", "Bald")
    assert (torch.stack([marks[name] for name in colours]) == 1).sum(0).max() <= 1
    assert not ((marks["Goatee"] == 1) & (marks["No_Beard"] == 1)).any()
    vectors[:, ATTRIBUTES.index("glasses")] = 1.0
    assert (binary_attributes(vectors)["Eyeglasses"] == 1).all()
