"""Descriptions do not depend on the batch, and the PNG emulation is exact."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms.functional import to_tensor
from torchvision.utils import save_image

from toy import ToyStudents, seeded
from trapmid.metrics.features import (
    Poison,
    as_bytes,
    describe,
    low2high,
    member_logits,
    stretch,
    vectors,
)
from trapmid.runtime import Runtime
from trapmid.training.trapdoors import Blend
from trapmid.types import Output, Target

RT = Runtime(device=torch.device("cpu"), seed=0, precision="bf16")


class Network(Target):
    """Has everything that could make a row depend on its batch or on chance."""

    num_classes = 4

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(), nn.Flatten()
        )
        self.last = nn.Linear(6 * 36, 4)

    def forward(self, images: torch.Tensor) -> Output:
        features = self.body(images)
        return Output(self.last(features), features)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(11, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_rows_do_not_depend_on_the_batch_size(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    model = Network().train()
    whole = describe(model, images, batch_size=100, rt=RT)
    for batch_size in (1, 4):
        parts = describe(model, images, batch_size=batch_size, rt=RT)
        for a, b in zip(whole, parts, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert model.training  # the mode comes back
    assert whole.logits.dtype == torch.float32
    assert not whole.logits.requires_grad
    assert torch.equal(model.body[1].running_mean, torch.zeros(6))


@pytest.mark.parametrize("kind", [torch.float32, torch.uint8])
def test_a_judge_sees_what_a_file_keeps_whatever_the_batch(kind: torch.dtype) -> None:
    """The numbers of all images clamped at once, to the bit: the network passes pixels on."""
    wild = 3 * torch.rand(11, 3, 8, 8, generator=torch.Generator().manual_seed(2)) - 1
    images = wild if kind.is_floating_point else (80 * (wild + 1)).to(kind)
    whole = wild.clamp(0, 1) if kind.is_floating_point else images.float() / 255
    for batch_size in (1, 4, 100):
        found = vectors(nn.Flatten(), images, batch_size=batch_size, rt=RT)
        assert torch.equal(found, whole.flatten(1))


def test_a_full_memory_changes_no_row(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    model = Network()
    labels = torch.arange(11) % 4
    poison = Poison(Blend(torch.rand(4, 3, 8, 8), alpha=0.5), labels)
    whole = describe(model, images, batch_size=11, rt=RT, poison=poison)
    model.register_forward_pre_hook(_two_at_most)
    with pytest.warns(UserWarning, match="images at once"):
        parts = describe(model, images, batch_size=11, rt=RT, poison=poison)
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def _two_at_most(_: nn.Module, given: tuple[torch.Tensor]) -> None:
    if len(given[0]) > 2:
        raise torch.cuda.OutOfMemoryError("full")


def test_uint8_images_are_scaled(images: torch.Tensor) -> None:
    model, stored = Network(), as_bytes(images)
    a = describe(model, stored, batch_size=4, rt=RT)
    b = describe(model, stored.float() / 255, batch_size=4, rt=RT)
    assert torch.equal(a.logits, b.logits)


def test_float_images_are_not_clamped(images: torch.Tensor) -> None:
    model = Network()
    raw = describe(model, images * 3 - 1, batch_size=4, rt=RT)
    clamped = describe(model, (images * 3 - 1).clamp(0, 1), batch_size=4, rt=RT)
    assert not torch.equal(raw.logits, clamped.logits)


def test_poison_follows_its_image_through_the_batches(images: torch.Tensor) -> None:
    trapdoor = Blend(torch.rand(4, 3, 8, 8), 0.3)
    labels = torch.arange(11) % 4
    model = Network()
    poisoned = describe(model, images, batch_size=3, rt=RT, poison=Poison(trapdoor, labels))
    by_hand = 0.7 * images + 0.3 * trapdoor.triggers[labels]
    expected = describe(model, by_hand, batch_size=11, rt=RT)
    torch.testing.assert_close(poisoned.logits, expected.logits, rtol=1e-4, atol=1e-5)


def test_broken_outputs_and_empty_input_are_refused(images: torch.Tensor) -> None:
    images[2, 0, 4, 4] = torch.nan
    with pytest.raises(ValueError, match="of 1 of 11 images are not finite"):
        describe(Network(), images, batch_size=4, rt=RT)
    with pytest.raises(ValueError, match=r"logits \(network 0\) of 1 of 11 images are not finite"):
        member_logits(Network(), images, batch_size=4, rt=RT)
    with pytest.raises(ValueError, match="no images"):
        describe(Network(), images[:0], batch_size=4, rt=RT)


@pytest.mark.parametrize("scale", [(1.0, 0.0), (2.0, -0.5), (0.3, 0.4), (0.0, 0.2), (1e-6, 0.5)])
def test_stretch_is_bit_equal_to_the_png_round_trip(scale: tuple[float, float]) -> None:
    """Also outputs outside [0, 1], flat and nearly flat images."""
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(20, 3, 16, 16, generator=generator) * scale[0] + scale[1]
    expected = []
    for image in images:
        stream = io.BytesIO()
        save_image(image, stream, format="png", normalize=True)
        expected.append(to_tensor(Image.open(stream)))
    assert torch.equal(stretch(images), torch.stack(expected))


def test_low2high_is_what_pil_makes_of_8_bit_images() -> None:
    """T8: image by image through PIL, truncated and not rounded."""
    raw = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 1.2 - 0.1
    found = low2high(raw, 28)
    assert found.shape == (3, 3, 28, 28) and found.dtype == torch.float32
    for image, made in zip(raw, found, strict=True):
        pixels = bytearray()
        for y in range(16):
            for x in range(16):
                pixels += bytes(int(255 * min(1, max(0, float(image[c, y, x])))) for c in range(3))
        wanted = Image.frombytes("RGB", (16, 16), bytes(pixels)).resize(
            (28, 28), Image.Resampling.BILINEAR
        )
        assert torch.equal(made, to_tensor(wanted))


def test_votes_are_those_of_every_member() -> None:
    students = seeded(ToyStudents, 3)
    x = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    found = member_logits(students.train(), x, batch_size=2, rt=RT)
    wanted = students.eval().member_logits(x)
    assert len(found) == 2
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    students.member_logits = lambda images: (wanted[0], wanted[1] / 0)  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"logits \(network 1\) of 5 of 5 images are not finite"):
        member_logits(students, x, batch_size=5, rt=RT)
    alone = member_logits(Network().eval(), x, batch_size=5, rt=RT)
    assert len(alone) == 1
