"""Distances, thresholds and counts of a verifier, against literal loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, roc_curve

from trapmid.metrics import verification


def vectors(n: int, seed: int, width: int = 5) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def test_distances_are_those_of_a_loop() -> None:
    one, other = vectors(4, 0), vectors(3, 1)
    found = verification.distances(one, other)
    assert found.dtype == torch.float64
    for i in range(4):
        for c in range(3):
            expected = math.dist(one[i].tolist(), other[c].tolist())
            assert float(found[i, c]) == pytest.approx(expected, abs=1e-12)
    assert verification.distances(one, one).diagonal().tolist() == [0.0] * 4


def test_a_template_is_the_direction_of_the_mean_at_the_mean_length() -> None:
    embeddings, labels = 3 * vectors(6, 2), torch.tensor([2, 0, 1, 0, 2, 2])
    found = verification.templates(embeddings, labels, 3)
    length = np.mean([np.linalg.norm(row) for row in embeddings.double().numpy()])
    for person in range(3):
        mean = np.mean(
            [e for e, x in zip(embeddings.double().numpy(), labels, strict=True) if x == person],
            axis=0,
        )
        np.testing.assert_allclose(found[person].numpy(), length * mean / np.linalg.norm(mean))
    backwards = verification.templates(embeddings.flip(0), labels.flip(0), 3)
    assert float((found - backwards).abs().max()) < 1e-12


def test_a_person_without_an_image_has_no_template() -> None:
    with pytest.raises(ValueError, match=r"^templates: no image of class 1$"):
        verification.templates(vectors(2, 0), torch.tensor([0, 2]), 3)


def test_own_and_others_part_the_row() -> None:
    values = torch.arange(12.0).reshape(3, 4)
    labels = torch.tensor([0, 3, 1])
    assert verification.own(values, labels).tolist() == [0, 7, 9]
    assert verification.others(values, labels).tolist() == [[1, 2, 3], [4, 5, 6], [8, 10, 11]]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.29, 0.5])
@pytest.mark.parametrize("count", [1, 2, 100, 101])
def test_the_threshold_is_the_largest_that_keeps_the_share(share: float, count: int) -> None:
    distances = torch.rand(count, generator=torch.Generator().manual_seed(count)).double()
    limit = verification.threshold(distances[:, None], torch.arange(count), share)
    accepted = int((distances < limit).sum())
    assert accepted <= share * count + 1e-9
    # One step further and one impostor more would be accepted: too many.
    assert accepted + 1 > share * count + 1e-9
    assert limit in distances.tolist()


def test_the_threshold_counts_ties_as_accepted_only_together() -> None:
    distances, whose = torch.tensor([[1.0, 1.0], [1.0, 2.0]]), torch.tensor([3, 1])
    limit = verification.threshold(distances, whose, 0.5)
    assert limit == 1.0  # all three or none: three are too many
    images = torch.tensor([[1.0, 9.0], [9.0, 0.5]])
    accepted = verification.verdicts(images, torch.tensor([0, 1]), limit).accepted
    assert accepted.tolist() == [False, True]  # at the threshold is no nearer than it
    assert verification.threshold(distances, whose, 0.75) == 2.0


def test_the_threshold_is_on_the_roc_curve() -> None:
    """scikit-learn's curve, whose scores are similarities and whose rule is >=."""
    generator = torch.Generator().manual_seed(5)
    genuine = torch.rand(50, generator=generator).double()
    impostors = 0.5 + torch.rand(200, generator=generator).double()
    truth = np.r_[np.ones(50), np.zeros(200)]
    false, true, _ = roc_curve(
        truth, -torch.cat([genuine, impostors]).numpy(), drop_intermediate=False
    )
    limit = verification.threshold(impostors[:, None], torch.arange(200) // 4, 0.1)
    best = max(t for f, t in zip(false, true, strict=True) if f <= 0.1)
    assert float((genuine < limit).double().mean()) == pytest.approx(best)


def test_no_impostors_set_no_threshold() -> None:
    with pytest.raises(ValueError, match=r"^threshold: no impostors$"):
        verification.threshold(torch.zeros(0, 3), torch.zeros(0), 0.01)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.3, 0.6])
def test_the_threshold_counts_everybody_once(share: float) -> None:
    """One of 6 people has 60 of 65 images: as if each of the others' images were there 60 times."""
    draw = torch.Generator().manual_seed(2)
    distances = torch.rand(65, 5, generator=draw).double()
    labels = torch.tensor([0] * 60 + [1, 2, 3, 4, 5])
    alike = torch.cat([torch.arange(60), torch.arange(60, 65).repeat_interleave(60)])
    limit = verification.threshold(distances, labels, share)
    assert limit == verification.threshold(distances[alike], labels[alike], share)
    assert limit != verification.threshold(distances, torch.arange(65), share)
    order = torch.randperm(65, generator=draw)
    assert limit == verification.threshold(distances[order], labels[order], share)


def test_verdicts_are_those_of_a_loop() -> None:
    values = verification.distances(vectors(20, 3), vectors(4, 4))
    labels = torch.arange(20) % 4
    found = verification.verdicts(values, labels, 2.5)
    for i, row in enumerate(values.tolist()):
        assert float(found.distances[i]) == row[labels[i]]
        assert bool(found.accepted[i]) == (row[labels[i]] < 2.5)
        assert int(found.nearest[i]) == row.index(min(row))
    assert 0 < int(found.accepted.sum()) < 20


def test_ties_go_to_the_lower_class_and_class_0_is_as_any() -> None:
    assert verification.nearest(torch.tensor([[1.0, 1.0], [2.0, 1.0]])).tolist() == [0, 1]
    values = torch.tensor([[0.1, 0.9, 0.5], [0.9, 0.1, 0.5], [0.9, 0.5, 0.1]]).double()
    labels = torch.arange(3)
    for shift in range(3):  # the same people under other numbers
        found = verification.verdicts(values.roll(shift, 1), (labels + shift) % 3, 0.2)
        assert found.accepted.all() and torch.equal(found.nearest, (labels + shift) % 3)


@pytest.mark.parametrize("n", [0, 1, 2, 40])
def test_disagreement_is_a_confusion_matrix(n: int) -> None:
    generator = torch.Generator().manual_seed(n)
    first, second = (torch.rand(2, n, generator=generator) < 0.5).unbind()
    found = verification.disagreement(first, second)
    matrix = confusion_matrix(first, second, labels=[False, True]) if n else np.zeros((2, 2), int)
    assert [[found.neither, found.second_only], [found.first_only, found.both]] == matrix.tolist()
    assert sum(found) == n


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_images(n: int) -> None:
    found = verification.verdicts(torch.rand(n, 3).double(), torch.zeros(n, dtype=torch.int64), 2)
    assert [len(part) for part in found] == [n, n, n]
    assert found.accepted.all()
