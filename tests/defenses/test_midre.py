"""MIDRE: the erased square, counted by hand and against torchvision's transform."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import RandomErasing

from toy import MIDRE, T, ToyNet, images, seeded, setting, uniform
from trapmid import augment, wiring
from trapmid.defenses.midre import Defense, erased
from trapmid.types import Progress

FILL = (0.7, 0.6, 0.5)


def test_one_square_an_image_and_nothing_else() -> None:
    """Its area lies in the range, but for the rounding of its side; no pixel is beside it."""
    n, size = 2000, 32
    clean = images(n, size=size)
    after = erased(clean, uniform(n, 3, seed=1), (0.1, 0.4), FILL)
    gone = (after == torch.tensor(FILL)[:, None, None]).all(dim=1)
    assert torch.equal(
        after[~gone[:, None].expand_as(after)], clean[~gone[:, None].expand_as(after)]
    )
    side = gone.any(dim=2).sum(dim=1)
    assert torch.equal(side, gone.any(dim=1).sum(dim=1))  # as wide as high
    assert torch.equal(gone.sum(dim=(1, 2)), side**2)  # without a hole
    least, most = round(size * 0.1**0.5), round(size * 0.4**0.5)
    assert side.min() == least and side.max() == most
    rows = gone.any(dim=2).int()
    first, last = rows.argmax(dim=1), size - 1 - rows.flip(1).argmax(dim=1)
    assert torch.equal(last - first + 1, side)  # one block


def test_sides_and_places_are_those_of_torchvision() -> None:
    """Shares of every side, first row and first column, of 4,000 draws each; five deviations."""
    n, size = 4000, 32
    blank = torch.zeros(n, 3, size, size)
    ours = erased(blank, uniform(n, 3, seed=2), (0.1, 0.4), (1.0, 1.0, 1.0))
    transform = RandomErasing(p=1.0, scale=(0.1, 0.4), ratio=(1, 1), value=1)
    torch.manual_seed(0)
    theirs = torch.stack([transform(one) for one in blank])
    for ours_has, theirs_has in zip(_square(ours), _square(theirs), strict=True):
        first, second = (has.bincount(minlength=size) / n for has in (ours_has, theirs_has))
        spread = (2 * second * (1 - second) / n + 1 / n**2).sqrt()
        assert ((first - second).abs() < 5 * spread).all()


def _square(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Side, first row and first column (N,) of white squares on black."""
    rows, columns = images[:, 0].amax(dim=2).long(), images[:, 0].amax(dim=1).long()
    return rows.sum(dim=1), rows.argmax(dim=1), columns.argmax(dim=1)


def test_a_square_is_smaller_than_the_image() -> None:
    after = erased(torch.zeros(1, 3, 8, 8), torch.tensor([[0.9999, 0.0, 0.99]]), (0.1, 1.0), FILL)
    assert (after[:, 0] > 0).sum() == 49


@pytest.mark.parametrize(
    ("u", "columns", "rows"),
    [  # of eight pixels: the least side is 8 sqrt(0.1), about 3, and so there are six places
        ((0.0, 0.0, 0.0), [0, 1, 2], [0, 1, 2]),
        ((0.0, 0.999, 0.17), [5, 6, 7], [1, 2, 3]),
        ((0.0, 0.16, 0.999), [0, 1, 2], [5, 6, 7]),
        ((0.5, 0.999, 0.0), [4, 5, 6, 7], [0, 1, 2, 3]),  # 8 sqrt(0.25)
    ],
)
def test_a_square_by_hand(u: tuple[float, ...], columns: list[int], rows: list[int]) -> None:
    """Size, column and row of one square, which may touch either end."""
    after = erased(torch.zeros(1, 3, 8, 8), torch.tensor([u]), (0.1, 0.4), FILL)[0]
    gone = torch.zeros(8, 8, dtype=torch.bool)
    gone[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    assert torch.equal(after, torch.tensor(FILL)[:, None, None] * gone)


@pytest.mark.parametrize("augmentation", [None, T])
def test_the_loss_is_that_of_erased_images(augmentation: dict[str, object] | None) -> None:
    block = MIDRE | {"augmentation": augmentation}
    model, x, y = seeded(ToyNet, 4).train(), images(8), torch.arange(8) % 4
    objective = wiring.defense("midre", block, "midre").objective(setting())
    torch.manual_seed(3)
    loss = objective(model, x, y, Progress(0, 1, 0, 1))
    torch.manual_seed(3)
    view = x if augmentation is None else augment.TrapAugmentation(**T)(x)  # before the erasing
    view = erased(view, torch.rand(8, 3), (0.1, 0.4), FILL)
    assert (view == torch.tensor(FILL)[:, None, None]).all(dim=1).any(dim=(1, 2)).all()
    assert torch.allclose(loss.total, F.cross_entropy(seeded(ToyNet, 4).train()(view).logits, y))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"area": [0.4, 0.1]}, r"midre\.area: \[0\.4, 0\.1\] must ascend"),
        ({"area": [0.0, 0.1]}, r"midre\.area\[0\]: 0\.0 is outside \(0, 1\]"),
        ({"fill": [0.5, 0.5]}, r"midre\.fill: "),
        ({"fill": [0.5, 0.5, 2.0]}, r"midre\.fill\[2\]: 2\.0 is outside \[0, 1\]"),
    ],
)
def test_wrong_blocks_name_themselves(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wiring.defense("midre", MIDRE | changes, "midre")


def test_areas_may_be_one_and_as_small_as_a_pixel() -> None:
    """0.005 of eight by eight pixels is a side of 0.57, which is one pixel."""
    for area, pixels in (([0.25, 0.25], 16), ([0.005, 0.005], 1)):
        made = wiring.defense("midre", MIDRE | {"area": area}, "midre")
        made.objective(setting())
        assert isinstance(made, Defense)
        assert ((made.view(torch.zeros(9, 3, 8, 8)) > 0).sum(dim=(1, 2, 3)) == 3 * pixels).all()


def test_a_square_without_a_pixel_is_refused() -> None:
    made = wiring.defense("midre", MIDRE | {"area": [0.001, 0.4]}, "midre")
    with pytest.raises(ValueError, match=r"^area: 0\.001 of 8 x 8 pixels is less than one$"):
        made.objective(setting())


def test_a_block_is_a_defense() -> None:
    made = wiring.defense("midre", MIDRE, "midre")
    assert made == Defense(area=(0.1, 0.4), fill=FILL, augmentation=None)
