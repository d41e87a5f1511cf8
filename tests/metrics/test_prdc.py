"""Precision, recall, density, coverage: against literal loops and released libraries."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trapmid.metrics import distances
from trapmid.metrics import prdc as module
from trapmid.metrics.prdc import Prdc, ppa, ppa_per_class, prdc

REAL = torch.tensor([[0.0, 0], [0.1, 0], [0, 0.1], [2, 0], [5, 0], [2, 4]])
MADE = torch.tensor([[0.5, 0], [0.05, 0.05], [3, 1], [9, 9]])


def drawn() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(300, 16, generator=generator),
        torch.randn(200, 16, generator=generator) * 0.9 + 0.3,
    )


def gap(one: Tensor, other: Tensor) -> float:
    return float((one.double() - other.double()).square().sum().sqrt())


def radius(points: Tensor, i: int, k: int) -> float:
    return sorted(gap(points[i], points[j]) for j in range(len(points)) if j != i)[k - 1]


def textbook_loop(real: Tensor, made: Tensor, k: int) -> Prdc:
    r = [radius(real, j, k) for j in range(len(real))]
    q = [radius(made, i, k) for i in range(len(made))]
    rows, columns = range(len(made)), range(len(real))
    held = [[gap(made[i], real[j]) <= r[j] + 1e-9 for j in columns] for i in rows]
    reached = [any(gap(made[i], real[j]) <= q[i] + 1e-9 for i in rows) for j in columns]
    return Prdc(
        precision=sum(map(any, held)) / len(made),
        recall=sum(reached) / len(real),
        density=sum(map(sum, held)) / k / len(made),
        coverage=sum(any(row[j] for row in held) for j in columns) / len(real),
    )


def ppa_loop(real: Tensor, made: Tensor, k: int) -> Prdc:
    """After the script's formulas, image by image."""

    def in_nearest(points: Tensor, centres: Tensor) -> float:
        hits = 0
        for point in points:
            nearest = min(range(len(centres)), key=lambda j: gap(point, centres[j]))
            hits += gap(point, centres[nearest]) <= radius(centres, nearest, k) + 1e-9
        return hits / len(points)

    held = [[gap(i, real[j]) <= radius(real, j, k) + 1e-9 for j in range(len(real))] for i in made]
    return Prdc(
        precision=in_nearest(made, real),
        recall=in_nearest(real, made),
        density=sum(map(sum, held)) / len(real) / k,
        coverage=sum(any(row[j] for row in held) for j in range(len(real))) / len(real),
    )


def close(one: Prdc, other: Prdc) -> bool:
    return vars(one) == pytest.approx(vars(other), abs=1e-12)


@pytest.mark.parametrize(("variant", "loop"), [(prdc, textbook_loop), (ppa, ppa_loop)])
@pytest.mark.parametrize("cells", [8_000_000, 7])
def test_equals_the_literal_loop(
    variant: Callable[[Tensor, Tensor, int], Prdc],
    loop: Callable[[Tensor, Tensor, int], Prdc],
    cells: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(distances, "_CELLS", cells)
    real, made = (side[:25] for side in drawn())
    made = torch.cat([made, made[:4], real[:3]])  # copies of made images, and copies of real ones
    assert close(variant(real, made, 3), loop(real, made, 3))


def test_by_hand() -> None:
    """Six real and four made points of a plane, k = 2; the radii are 0.1, 0.141, 0.141, 2, ..."""
    assert close(prdc(REAL, MADE, 2), Prdc(precision=0.75, recall=1, density=1.25, coverage=1))
    wanted = Prdc(precision=0.5, recall=5 / 6, density=5 / 6, coverage=1)
    assert close(ppa(REAL, MADE, 2), wanted)


def test_without_ties_the_released_libraries_agree() -> None:
    """prdc 0.2 on `drawn()`, k = 5: 0.89, 0.7533..., 0.928, 0.8333...

    torch-fidelity 0.4.0 (float32) says 0.889999986 and 0.753333330, with the sets in the other
    order: it takes the made images first.
    """
    wanted = Prdc(precision=0.89, recall=226 / 300, density=0.928, coverage=250 / 300)
    assert close(prdc(*drawn(), 5), wanted)


def test_copies_are_inside() -> None:
    """With every image k + 1 times all radii are zero: prdc 0.2 says 0 four times, which is wrong.

    Density is (k + 1) / k: in every ball lie k + 1 copies.
    """
    copies = drawn()[0][:50].repeat(6, 1)
    assert close(prdc(copies, copies, 5), Prdc(precision=1, recall=1, density=1.2, coverage=1))
    assert close(ppa(copies, copies, 5), Prdc(precision=1, recall=1, density=1.2, coverage=1))
    again = copies * (1 + 1e-7)  # the same images, described in another batch
    for variant in (prdc, ppa):
        found = variant(copies, again, 5)
        assert close(found, Prdc(precision=1, recall=1, density=1.2, coverage=1))


def test_where_the_origin_lies_says_nothing() -> None:
    real, made = (side[:60].double() for side in drawn())
    for variant in (prdc, ppa):
        assert close(variant(real + 1e5, made + 1e5, 3), variant(real, made, 3))


def test_of_several_nearest_balls_any_holds_the_image() -> None:
    """The made image lies in the middle of two real ones but for the last bits, either way.

    The ball of the right one is small, since it has a twin; that of the left one holds the image.
    """
    real = torch.tensor([[1.0, 0], [1.2, 0], [-1, 0], [-3, 0]]).double()
    for bits in (-1e-11, 1e-11):
        made = torch.tensor([[bits, 0.0], [50, 0], [50, 1]]).double()
        assert ppa(real, made, 1).precision == pytest.approx(1 / 3)


def test_a_collapsed_attack_covers_little() -> None:
    real = drawn()[0]
    found = prdc(real, real[:1].repeat(20, 1), 3)
    assert found.precision == 1 and found.coverage < 0.1 and found.recall == 1 / 300


@pytest.mark.parametrize("variant", [prdc, ppa])
def test_the_order_of_rows_says_nothing(variant: Callable[..., Prdc]) -> None:
    real, made = drawn()
    assert close(variant(real, made, 3), variant(real.flip(0), made.flip(0), 3))


def test_per_class_is_a_mean_over_classes_with_enough_images() -> None:
    """Class 0 is a class as any other; class 2 has too few images, class 3 none."""
    real, made = drawn()
    real_labels = torch.arange(300) % 4
    made_labels = torch.cat([torch.zeros(100), torch.ones(97), torch.full((3,), 2.0)]).long()
    zero = ppa(real[real_labels == 0], made[made_labels == 0], 3)
    one = ppa(real[real_labels == 1], made[made_labels == 1], 3)
    found = ppa_per_class(real, real_labels, made, made_labels, 3)
    assert found is not None
    assert found.density == pytest.approx((zero.density + one.density) / 2)
    assert found.recall == pytest.approx((zero.recall + one.recall) / 2)
    assert ppa_per_class(real, real_labels, made[197:], made_labels[197:], 3) is None


@pytest.mark.parametrize("cached", [1, 400_000])
def test_classes_together_are_as_classes_one_by_one(
    cached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes differ, two classes have one size, and copies lie in several of them."""
    monkeypatch.setattr(module, "_CACHED", cached)
    real, made = (side[:60, :4] for side in drawn())
    made = torch.cat([made, real[:20]])
    real_labels = torch.tensor([0] * 9 + [4] * 9 + [2] * 12 + [7] * 30)
    made_labels = torch.tensor([7] * 20 + [2] * 14 + [0] * 6 + [4] * 6 + [7] * 34)
    single = [
        ppa_loop(real[real_labels == label], made[made_labels == label], 3)
        for label in (0, 2, 4, 7)
    ]
    wanted = {name: sum(vars(one)[name] for one in single) / 4 for name in vars(single[0])}
    found = ppa_per_class(real, real_labels, made, made_labels, 3)
    assert found is not None
    assert vars(found) == pytest.approx(wanted, abs=1e-12)


def test_a_class_counts_from_one_image_more_than_neighbours() -> None:
    """On both sides: of four made classes with 4, 4, 3 and 5 real images the first alone has so."""
    real, made = (side[:16, :4] for side in drawn())
    real_labels = torch.tensor([0] * 4 + [1] * 4 + [2] * 3 + [3] * 5)
    made_labels = torch.tensor([0] * 4 + [1] * 3 + [2] * 6 + [3] * 3)
    found = ppa_per_class(real, real_labels, made, made_labels, 3)
    assert found is not None
    assert close(found, ppa_loop(real[:4], made[:4], 3))


def test_too_few_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^distances: 3 points have no 3 neighbours each$"):
        prdc(REAL, MADE[:3], 3)
    with pytest.raises(ValueError, match=r"^distances: 3 points have no 3 neighbours each$"):
        ppa(REAL, MADE[:3], 3)
