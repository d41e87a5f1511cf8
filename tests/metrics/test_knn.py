"""KNN distance against the papers' double loop (T9)."""

from __future__ import annotations

import pytest
import torch

from trapmid.metrics.knn import nearest_squared


def test_equals_the_double_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    features, private = (torch.randn(n, 16, generator=generator) * 30 for n in (20, 50))
    labels = torch.randint(0, 4, (20,), generator=generator)
    private_labels = torch.arange(50) % 4
    private[labels[3]] = features[3]  # a perfect copy: the distance must be exactly zero
    expected = []
    for i in range(20):
        best = float("inf")
        for j in range(50):
            if private_labels[j] == labels[i]:
                difference = features[i].double() - private[j].double()
                best = min(best, float((difference * difference).sum()))
        expected.append(best)
    found = nearest_squared(features, labels, private, private_labels)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    assert found[3] == 0


def test_what_is_near_among_many_keeps_its_digits() -> None:
    """By the product of matrices, which cdist would take of so many rows, 1e-6 would be lost."""
    private = torch.randn(60, 16, generator=torch.Generator().manual_seed(1)).double() + 1e5
    features = private.flip(0).clone()
    features[:, 0] += 1e-3
    labels = torch.zeros(60, dtype=torch.int64)
    found = nearest_squared(features, labels, private, labels)
    torch.testing.assert_close(found, torch.full((60,), 1e-6).double(), rtol=1e-5, atol=0)


def test_a_class_without_private_images_is_refused() -> None:
    with pytest.raises(ValueError, match="class 3 has no private image"):
        nearest_squared(torch.ones(1, 2), torch.tensor([3]), torch.ones(1, 2), torch.tensor([0]))
