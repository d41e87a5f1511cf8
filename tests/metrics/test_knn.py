"""KNN distance against the papers' double loop (T9)."""

from __future__ import annotations

import math

import pytest
import torch

from trapmid.metrics.knn import nearest_image, nearest_squared


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


def vectors(n: int, seed: int, width: int = 5) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def test_the_nearest_image_is_that_of_a_loop() -> None:
    """PPA's FaceNet distance: of embeddings of length 1, squared, the least over one's images."""
    made, private = 3 * vectors(6, 4), vectors(9, 5) / 7
    labels, private_labels = torch.tensor([0, 1, 2, 0, 1, 2]), torch.arange(9) % 3
    private[0] = 2 * made[1]  # another person's image, which it shows exactly
    found = nearest_image(made, labels, private, private_labels)
    assert found.dtype == torch.float64
    expected = []
    for x, label in zip(made.tolist(), labels.tolist(), strict=True):
        own = [y for y, of in zip(private.tolist(), private_labels, strict=True) if of == label]
        cosines = [sum(map(float.__mul__, x, y)) / (math.hypot(*x) * math.hypot(*y)) for y in own]
        expected.append(2 - 2 * max(cosines))
    assert found.tolist() == pytest.approx(expected, abs=1e-12)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    back = nearest_image(made[order], labels[order], private.flip(0), private_labels.flip(0))
    assert torch.equal(back, found[order])


def test_the_nearest_image_is_between_0_and_4() -> None:
    """Published: an image has a distance of 0 from itself, and none lies beyond 4."""
    one, nobody = vectors(5, 6).double(), torch.zeros(5, dtype=torch.int64)
    assert nearest_image(one, nobody, 9 * one, nobody).abs().max() < 1e-30
    apart = nearest_image(one, torch.arange(5), -one, torch.arange(5))
    assert apart.tolist() == pytest.approx([4.0] * 5, abs=1e-14)


def test_of_a_person_without_a_private_image_nothing_is_near() -> None:
    with pytest.raises(ValueError, match="class 2 has no private image"):
        nearest_image(vectors(1, 0), torch.tensor([2]), vectors(1, 1), torch.tensor([0]))
