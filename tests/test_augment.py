"""Random views against kornia's algorithm, written out pixel by pixel."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.functional import resized_crop

from toy import generator, images, uniform
from trapmid import augment
from trapmid.augment import PlgView, ResizedCrop, TrapAugmentation
from trapmid.config import params

# Counted with kornia itself: a few thousand draws, so good to 0.008.
SIDES_AT_64 = {57: 0.037, 58: 0.157, 59: 0.156, 60: 0.152, 61: 0.159, 62: 0.166, 63: 0.173}
VIEW = PlgView(scale=0.8, jitter=0.2, jitter_probability=1.0, flip=0.5, rotation=0.5, degrees=5.0)
TRAP = TrapAugmentation(crop=0.5, crop_per="batch", scale=0.8, flip=0.5, rotation=0.5, degrees=30.0)
NOTHING = replace(TRAP, crop=0.0, flip=0.0, rotation=0.0)


# --- literal algorithms -------------------------------------------------------------------------


def kornia_side(size: int, least: float, draws: list[float]) -> int:
    """The first of the draws whose rounded side is smaller than the image."""
    for u in draws:
        side = round(math.sqrt((least + u * (1 - least)) * size * size))
        if side < size:
            return side
    raise AssertionError("all draws were too large")


def cut_and_resize(image: Tensor, side: int, left: int, top: int) -> Tensor:
    cut = image[None, :, top : top + side, left : left + side]
    size = image.shape[-1]
    return F.interpolate(cut, size=(size, size), mode="bilinear", align_corners=True)[0]


def rotate_by_hand(image: Tensor, degrees: float) -> Tensor:
    """Output p samples c + R(p - c), R = [[cos, -sin], [sin, cos]], bilinear, black outside."""
    size, (c, s) = (
        image.shape[-1],
        (math.cos(math.radians(degrees)), math.sin(math.radians(degrees))),
    )
    centre, out = (size - 1) / 2, torch.zeros_like(image)
    for row in range(size):
        for column in range(size):
            dx, dy = column - centre, row - centre
            x, y = centre + c * dx - s * dy, centre + s * dx + c * dy
            for i in (math.floor(y), math.floor(y) + 1):
                for j in (math.floor(x), math.floor(x) + 1):
                    if 0 <= i < size and 0 <= j < size:
                        weight = (1 - abs(y - i)) * (1 - abs(x - j))
                        out[:, row, column] += weight * image[:, i, j]
    return out


def brighten(image: Tensor, factor: float) -> Tensor:
    return (image * factor).clamp(0, 1)


def stretch(image: Tensor, factor: float) -> Tensor:
    grey = (0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]).mean()
    return (image * factor + grey * (1 - factor)).clamp(0, 1)


# --- crop ---------------------------------------------------------------------------------------


def test_sides_follow_the_official_histogram() -> None:
    n = 400_000
    side, left, top = augment.crop_boxes(uniform(n, 3), 64, 0.8)
    counts = Counter(side.int().tolist())
    assert set(counts) == set(SIDES_AT_64)
    most = 63.5**2 - 0.8 * 64**2  # the area that the sides have between them
    for value, probability in SIDES_AT_64.items():
        exact = ((value + 0.5) ** 2 - max((value - 0.5) ** 2, 0.8 * 64**2)) / most
        assert counts[value] / n == pytest.approx(exact, abs=0.002)
        assert counts[value] / n == pytest.approx(probability, abs=0.008)
    draws = uniform(4000, 10, seed=1).double()
    literal = Counter(kornia_side(64, 0.8, row) for row in draws.tolist())
    for value in SIDES_AT_64:
        assert counts[value] / n == pytest.approx(literal[value] / 4000, abs=0.025)
    for corner in (left, top):  # every integer offset that keeps the box inside, equally often
        assert torch.equal(corner, corner.floor()) and corner.min() == 0
        assert ((corner + side) <= 64).all()
        offsets = Counter(corner[side == 60].int().tolist())
        assert set(offsets) == {0, 1, 2, 3, 4}
        assert max(offsets.values()) < 1.2 * min(offsets.values())


def test_the_largest_uniform_number_stays_inside() -> None:
    most = torch.full((1, 3), 1 - 2**-24)
    for size in range(8, 130):
        side, left, top = augment.crop_boxes(most, size, 0.5)
        assert side < size and left + side <= size and top + side <= size


def test_a_scale_without_a_crop_is_refused() -> None:
    with pytest.raises(ValueError, match=r"scale: 0\.99 leaves no crop smaller than 32 pixels"):
        augment.crop_boxes(uniform(1, 3), 32, 0.99)


def test_crop_equals_slice_and_resize() -> None:
    x = images(20, size=64)
    side, left, top = augment.crop_boxes(uniform(20, 3), 64, 0.8)
    boxes = zip(side.int().tolist(), left.int().tolist(), top.int().tolist(), strict=True)
    wanted = [cut_and_resize(image, *box) for image, box in zip(x, boxes, strict=True)]
    assert torch.allclose(augment.crop(x, side, left, top), torch.stack(wanted), atol=1e-5)


# --- rotation, flip, jitter ---------------------------------------------------------------------


def test_rotation_equals_the_bilinear_formula() -> None:
    x, degrees = images(5, size=9), torch.tensor([-30.0, 30.0, 5.0, -4.3, 0.0])
    wanted = [rotate_by_hand(image, d) for image, d in zip(x, degrees.tolist(), strict=True)]
    assert torch.allclose(augment.rotate(x, degrees), torch.stack(wanted), atol=1e-5)


def test_rotated_corners_are_black() -> None:
    turned = augment.rotate(torch.ones(2, 3, 16, 16), torch.tensor([20.0, -20.0]))
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert (turned[:, :, row, column] == 0).all()
    assert torch.allclose(turned[:, :, 8, 8], torch.ones(2, 3))


def test_flip_is_per_image() -> None:
    x, where = images(4), torch.tensor([True, False, False, True])
    found = augment.flip(x, where)
    assert torch.equal(found[where], x[where].flip(-1))
    assert torch.equal(found[~where], x[~where])


def in_order(image: Tensor, order: str, brightness: float, contrast: float) -> Tensor:
    """The operations one after another, by their first letters."""
    for letter in order:
        if letter == "b":
            image = brighten(image, brightness)
        elif letter == "c":
            image = stretch(image, contrast)
        else:  # saturation of factor 1: 0 times grey, 1 times the image, clamped
            image = image.clamp(0, 1)
    return image


def orders(order: str, n: int) -> tuple[Tensor, Tensor]:
    """What `jitter` needs to know of it."""
    first = order.index("c") < order.index("b"), order[0] == "s"
    return torch.full((n,), first[0]), torch.full((n,), first[1])


@pytest.mark.parametrize("order", ["bcs", "bsc", "cbs", "csb", "sbc", "scb"])
def test_jitter_equals_the_formula(order: str) -> None:
    x = 3 * images(6) - 1  # far below 0 and above 1
    b, c = 0.8 + 0.4 * uniform(6, seed=1), 0.8 + 0.4 * uniform(6, seed=2)
    factors = zip(x, b.tolist(), c.tolist(), strict=True)
    wanted = torch.stack([in_order(image, order, *both) for image, *both in factors])
    assert torch.allclose(augment.jitter(x, b, c, *orders(order, 6)), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        ("scb", [0.08, 0.72]),
        ("csb", [0.00, 0.68]),  # the mean is of the pixels below 0, too
        ("cbs", [0.00, 0.68]),
        ("sbc", [0.08, 0.72]),  # brightness clamps before contrast
        ("bsc", [0.08, 0.72]),
        ("bcs", [0.08, 0.72]),
    ],
)
def test_kornias_jitter_of_two_pixels(order: str, wanted: list[float]) -> None:
    """What kornia 0.7.1 made of them."""
    x = torch.tensor([-0.4, 0.8]).expand(1, 3, 1, 2)
    found = augment.jitter(x, torch.ones(1), torch.tensor([0.8]), *orders(order, 1))
    assert torch.allclose(found, torch.tensor(wanted).expand(1, 3, 1, 2), atol=1e-6)


def test_every_order_of_the_jitter_is_equally_likely(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: Counter[tuple[bool, bool]] = Counter()

    def spy(x: Tensor, b: Tensor, c: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
        counts.update(zip(contrast.tolist(), saturation.tolist(), strict=True))
        return x

    monkeypatch.setattr(augment, "jitter", spy)
    n = 30_000
    VIEW(images(1).expand(n, -1, -1, -1), uniform(n, PlgView.DRAWS), uniform(n, PlgView.ORDERS))
    for order in ("bcs", "bsc", "cbs", "csb", "sbc", "scb"):
        contrast, saturation = (first.item() for first in orders(order, 1))
        alike = 1 if saturation else 2  # orders that `jitter` cannot, and need not, tell apart
        assert counts[contrast, saturation] / n == pytest.approx(alike / 6, abs=0.01)


# --- Trap-MID's T -------------------------------------------------------------------------------


def changed(views: Tensor, x: Tensor) -> list[bool]:
    """Which images differ by more than what a resampling at angle 0 rounds."""
    return ((views - x).abs().flatten(1).amax(dim=1) > 1e-4).tolist()


def test_crops_take_the_whole_batch_or_nothing() -> None:
    x, crop_only = images(16), replace(NOTHING, crop=0.5)
    hits = [sum(changed(crop_only(x), x)) for _ in range(200)]
    assert set(hits) == {0, 16}
    assert hits.count(16) == pytest.approx(100, abs=30)
    same = replace(NOTHING, crop=1.0)(images(1, size=64).expand(8, -1, -1, -1))
    assert not all(torch.equal(same[0], view) for view in same)  # every image has its own box


@pytest.mark.parametrize(
    ("augmentation", "probability"),
    [
        (replace(NOTHING, crop=0.3, crop_per="image"), 0.3),
        (replace(NOTHING, flip=0.3), 0.3),
        (replace(NOTHING, rotation=0.3), 0.3),
        (replace(NOTHING, crop=1.0), 1.0),
        (replace(NOTHING, crop=1.0, crop_per="image"), 1.0),
        (NOTHING, 0.0),
    ],
)
def test_probabilities(augmentation: TrapAugmentation, probability: float) -> None:
    x = images(2000)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        share = sum(changed(augmentation(x), x)) / len(x)
    assert share == pytest.approx(probability, abs=0.0 if probability in (0, 1) else 0.04)


def test_trap_angles_and_order() -> None:
    """Crop, then flip, then rotation: undone in reverse from a known stream of numbers."""
    x, always = images(6), replace(TRAP, crop=1.0, flip=1.0, rotation=1.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        u = torch.rand(6, 7)
        torch.manual_seed(5)
        found = always(x)
    side, left, top = augment.crop_boxes(u[:, :3], 8, 0.8)
    for i, image in enumerate(x):
        cut = cut_and_resize(image, int(side[i]), int(left[i]), int(top[i]))
        wanted = rotate_by_hand(cut.flip(-1), 30.0 * (2 * u[i, 5].item() - 1))
        assert torch.allclose(found[i], wanted, atol=1e-5)


def test_what_happens_to_an_image_are_separate_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is cropped, mirrored or rotated, and which way, says nothing of the others."""
    drawn: dict[str, Tensor] = {}

    def crop(images: Tensor, side: Tensor, left: Tensor, top: Tensor) -> Tensor:
        room = 16 - side + 1  # places, of which a small box has more
        drawn["side"], drawn["left"], drawn["top"] = side, (left + 0.5) / room, (top + 0.5) / room
        return 0 * images  # so that what was cropped is seen

    def flip(images: Tensor, where: Tensor) -> Tensor:
        drawn["cropped"], drawn["mirrored"] = (images == 0).all(dim=(1, 2, 3)), where
        return images

    def rotate(images: Tensor, degrees: Tensor) -> Tensor:
        drawn["rotated"], drawn["degrees"] = degrees != 0, degrees
        return images

    for one in (crop, flip, rotate):
        monkeypatch.setattr(augment, one.__name__, one)
    torch.manual_seed(0)
    replace(TRAP, crop_per="image", scale=0.3)(images(4000, size=16))
    names = ("side", "left", "top", "cropped", "mirrored", "rotated", "degrees")
    assert set(drawn) == set(names)
    for name in ("cropped", "mirrored", "rotated"):
        assert drawn[name].float().mean() == pytest.approx(0.5, abs=0.04)
    table = torch.stack([drawn[name].float() for name in names])
    found = torch.corrcoef(table) - torch.eye(len(names))
    assert found.abs().max() < 0.08  # five deviations
    turned = drawn["degrees"][drawn["rotated"]]
    assert turned.abs().max() <= 30 and turned.mean().abs() < 1.5 and turned.std() > 15


def test_a_probability_outside_0_1_is_refused() -> None:
    with pytest.raises(ValueError, match=r"flip: 1\.5 is outside \[0, 1\]"):
        params.build(TrapAugmentation, vars(TRAP) | {"flip": 1.5}, "augmentation")


# --- PLG-MI's A ---------------------------------------------------------------------------------


@pytest.mark.parametrize("probability", [0.5, 1.0])  # in training, in the search
def test_plg_view_equals_the_official_chain(probability: float) -> None:
    x, u = 1.2 * images(12) - 0.1, uniform(12, PlgView.DRAWS, seed=3)
    order = uniform(12, PlgView.ORDERS, seed=4)
    view = replace(VIEW, jitter_probability=probability)
    found = view(x, u, order)
    side, left, top = augment.crop_boxes(u[:, :3], 8, 0.8)
    for i, image in enumerate(x):
        wanted = cut_and_resize(image, int(side[i]), int(left[i]), int(top[i]))
        brightness, contrast = (0.8 + 0.4 * u[i, k].item() for k in (4, 5))
        if u[i, 3] < probability:
            letters = "cb" if order[i, 0] < 1 / 2 else "bc"
            letters = "s" + letters if order[i, 1] < 1 / 3 else letters + "s"
            wanted = in_order(wanted, letters, brightness, contrast)
        if u[i, 6] < 0.5:
            wanted = wanted.flip(-1)
        if u[i, 8] < 0.5:
            wanted = rotate_by_hand(wanted, 5.0 * (2 * u[i, 7].item() - 1))
        assert torch.allclose(found[i], wanted, atol=2e-5)


def test_plg_view_of_a_row_depends_on_that_row_alone() -> None:
    x, u, order = images(5), uniform(5, PlgView.DRAWS), uniform(5, PlgView.ORDERS, seed=2)
    whole = VIEW(x, u, order)
    for i in range(5):
        assert torch.allclose(VIEW(x[i : i + 1], u[i : i + 1], order[i : i + 1])[0], whole[i])


def views() -> dict[str, Callable[[Tensor], Tensor]]:
    u, order = uniform(3, PlgView.DRAWS), uniform(3, PlgView.ORDERS, seed=2)
    return {"trap": TRAP, "plg": lambda x: VIEW(x, u, order)}


@pytest.mark.parametrize("name", views())
def test_views_are_differentiable(name: str) -> None:
    x = images(3).double().requires_grad_(True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        state = torch.get_rng_state()

        def fixed(images: Tensor) -> Tensor:
            torch.set_rng_state(state)
            return views()[name](images.float()).double()

        (slope,) = torch.autograd.grad(fixed(x).square().sum(), x)
        step = 1e-2 * torch.randn(x.shape, generator=generator(), dtype=torch.float64)
        rise = (fixed(x + step).square().sum() - fixed(x - step).square().sum()) / 2
    assert rise.item() == pytest.approx((slope * step).sum().item(), rel=2e-2, abs=2e-2)


# --- torchvision's crops --------------------------------------------------------------------------


def test_a_cut_equals_torchvision() -> None:
    """Boxes of any shape, borders included; antialiasing changes nothing where a box grows."""
    pictures = images(6, size=20)
    boxes = [
        (20, 20, 0, 0),
        (13, 17, 7, 3),
        (20, 9, 0, 11),
        (1, 5, 19, 15),
        (7, 7, 0, 0),
        (2, 3, 4, 5),
    ]
    width, height, left, top = torch.tensor(boxes, dtype=torch.float32).T
    found = augment.cut(pictures, width, height, left, top)
    for image, cut, (w, h, x, y) in zip(pictures, found, boxes, strict=True):
        wanted = resized_crop(image, y, x, h, w, [20, 20], antialias=True)
        assert torch.allclose(cut, wanted, atol=1e-5)


def test_boxes_are_the_first_that_fit() -> None:
    """torchvision's `get_params`, written out with the same numbers; then the whole image."""
    view = ResizedCrop(area=(0.5, 0.9), ratio=(0.5, 2.0))
    u, size = uniform(400, ResizedCrop.DRAWS), 32
    tried = Counter[int]()
    for row, box in zip(u.double(), zip(*view.boxes(u, size), strict=True), strict=True):
        wanted = (size, size)
        for i in range(10):
            area = size**2 * (0.5 + 0.4 * row[i].item())
            ratio = math.exp(math.log(0.5) + row[10 + i].item() * math.log(4.0))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if w <= size and h <= size:
                wanted = (w, h)
                tried[i] += 1
                break
        left = math.floor(row[20].item() * (size - wanted[0] + 1))
        top = math.floor(row[21].item() * (size - wanted[1] + 1))
        assert tuple(int(side) for side in box) == (*wanted, left, top)
    assert tried[0] > 150 and tried[1] > 20  # some were drawn again
    narrow = ResizedCrop(area=(0.9, 0.9), ratio=(4.0, 4.0))  # never fits
    assert [b.tolist() for b in narrow.boxes(u[:1], size)] == [[size], [size], [0], [0]]


def test_areas_that_descend() -> None:
    with pytest.raises(ValueError, match=r"area: \[0\.9, 0\.5\] must ascend"):
        ResizedCrop(area=(0.9, 0.5), ratio=(1.0, 1.0))
