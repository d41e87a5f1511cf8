"""Squared distances: against scikit-learn, in chunks, and with ties that stay ties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from trapmid.metrics import distances
from trapmid.metrics.distances import blocks, kth_neighbour, space

GENERATOR = torch.Generator().manual_seed(0)
FIRST, SECOND = (torch.randn(n, 12, generator=GENERATOR) * 5 + 100 for n in (40, 25))


@pytest.mark.parametrize("cells", [8_000_000, 60, 1])
def test_blocks_are_scikit_learns_distances(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The features stand far from the origin, where the product cancels most."""
    monkeypatch.setattr(distances, "_CELLS", cells)
    (first, second), slack = space(FIRST, SECOND)
    parts = [parts for _, parts in blocks(first, second, first)]
    found = [torch.cat([part[i] for part in parts]) for i in (0, 1)]
    for one, other in zip(found, (SECOND, FIRST), strict=True):
        wanted = pairwise_distances(FIRST.double().numpy(), other.double().numpy()) ** 2
        np.testing.assert_allclose(one.numpy(), wanted, rtol=1e-12, atol=slack / 100)


@pytest.mark.parametrize("cells", [8_000_000, 120, 1])
@pytest.mark.parametrize("k", [1, 3])
def test_the_kth_neighbour_is_scikit_learns(
    k: int, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "_CELLS", cells)
    search = NearestNeighbors(algorithm="brute").fit(FIRST.double().numpy())
    wanted = search.kneighbors(n_neighbors=k)[0][:, -1] ** 2  # without the point itself
    found = kth_neighbour(space(FIRST).sets[0], k)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-10)


def test_copies_are_neighbours_and_the_point_itself_is_none() -> None:
    twins = torch.cat([FIRST, FIRST[:1], FIRST[:1]])
    points, slack = space(twins)
    assert kth_neighbour(points[0], 2)[[0, 40, 41]].abs().max() <= slack
    assert kth_neighbour(points[0], 3)[0] > 1


def test_features_of_another_batch_are_the_same() -> None:
    """One image's features differ by a millionth where it was described among others."""
    noisy = FIRST * (1 + 1e-7 * torch.randn(FIRST.shape, generator=GENERATOR))
    assert not torch.equal(noisy, FIRST)
    (first, second), slack = space(FIRST, noisy)
    ((_, (squared,)),) = blocks(first, second)
    assert (squared.diagonal() <= slack).all()
    assert (squared <= slack).sum() == len(FIRST)


def test_where_the_origin_lies_says_nothing() -> None:
    """Near neighbours stay apart: the slack is of the spread of features, not of their mean."""
    near = space(FIRST, SECOND).slack
    assert space(FIRST + 1e4, SECOND + 1e4).slack == pytest.approx(near, rel=1e-3)


def test_a_set_of_one_has_the_scale_of_the_others() -> None:
    """About itself it has none, and images of another batch would be no copies."""
    both = torch.cat([FIRST[:1], SECOND]).double() - FIRST[:1].double()
    squared = both.square().sum(dim=1).mean()
    assert space(FIRST[:1], SECOND).slack == pytest.approx(1e-10 * float(squared))


def test_bad_sets_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^distances: a set is empty, sizes \[40, 0\]$"):
        space(FIRST, SECOND[:0])
    with pytest.raises(ValueError, match=r"^distances: widths differ: \[11, 12\]$"):
        space(FIRST, SECOND[:, 1:])
    with pytest.raises(ValueError, match=r"^distances: 3 points have no 3 neighbours each$"):
        kth_neighbour(space(FIRST[:3]).sets[0], 3)
