"""Nearest private or public image, against subsets that are really drawn, and covered images."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from trapmid.metrics import distances
from trapmid.metrics.neighbours import covered, nearest_private


def drawn(*sizes: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, 6, generator=generator) for size in sizes]


def literal(features: Tensor, private: Tensor, public: Tensor) -> float:
    """Ties count half."""
    won = 0.0
    for row in features.double():
        mine, theirs = (
            float((side.double() - row).square().sum(dim=1).min()) for side in (private, public)
        )
        won += 0.5 if abs(mine - theirs) < 1e-8 else float(mine < theirs)
    return won / len(features)


@pytest.mark.parametrize("cells", [8_000_000, 10])
def test_equal_sets_are_every_subset_of_the_larger_one(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "_CELLS", cells)
    features, small, large = drawn(12, 4, 9)
    small[0] = large[3]  # twins: one image on both sides
    features[5] = small[0] + 0.01
    for turned in (False, True):
        private, public = (large, small) if turned else (small, large)
        values = []
        for chosen in itertools.combinations(range(9), 4):
            part = large[list(chosen)]
            sides = (part, small) if turned else (small, part)
            values.append(literal(features, *sides))
        found = nearest_private(features, private, public)
        assert found.equal == pytest.approx(sum(values) / len(values), abs=1e-9)
        assert found.all == pytest.approx(literal(features, private, public), abs=1e-12)


def test_seeded_subsets_come_to_the_same() -> None:
    features, private, public = drawn(40, 60, 150)
    generator = torch.Generator().manual_seed(1)
    values = [
        literal(features, private, public[torch.randperm(150, generator=generator)[:60]])
        for _ in range(200)
    ]
    found = nearest_private(features, private, public).equal
    assert found == pytest.approx(sum(values) / 200, abs=0.01)


def test_chance_is_one_half_only_among_equally_many() -> None:
    """All three sets from one distribution; the larger set attracts more."""
    features, private, public = drawn(3000, 100, 400)
    found = nearest_private(features, private, public)
    assert found.all == pytest.approx(0.2, abs=0.07)
    assert found.equal == pytest.approx(0.5, abs=0.07)


def test_copies_of_one_side() -> None:
    features, private, public = drawn(20, 30, 50)
    assert nearest_private(private, private, public).equal == 1
    assert nearest_private(public, private, public).all == 0
    assert nearest_private(features, private, private.clone()).equal == 0.5
    assert nearest_private(features, private, private.clone()).all == 0.5
    with pytest.raises(ValueError, match=r"^distances: a set is empty"):
        nearest_private(features, private, public[:0])


def test_covered_images_by_hand() -> None:
    """On a line: person 0 at 0, 1, 10 (siblings at 1, 1, 9); person 1 at 100, 104."""
    private = torch.tensor([[0.0], [1], [10], [100], [104]])
    people = torch.tensor([0, 0, 0, 1, 1])
    # 0.5 covers 0 and 1; 19 comes as near to 10 as its sibling: the edge counts.
    made, labels = torch.tensor([[0.5], [19.0]]), torch.tensor([0, 0])
    assert covered(made, labels, private, people) == 3 / 5
    assert covered(made[:1], labels[:1], private, people) == 2 / 5 + 0
    # Another person's reconstruction covers nobody.
    assert covered(torch.tensor([[100.0]]), torch.tensor([0]), private, people) == 0
    assert covered(torch.tensor([[102.0]]), torch.tensor([1]), private, people) == 2 / 5


def test_a_person_with_one_image_has_no_scale() -> None:
    private, people = torch.tensor([[0.0], [5], [9]]), torch.tensor([0, 1, 1])
    made = torch.tensor([[0.0], [5.0]])
    assert covered(made, torch.tensor([0, 1]), private, people) == 1
    assert covered(made, torch.tensor([0, 1]), private[:2], people[:2]) is None
