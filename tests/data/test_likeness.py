"""Fingerprints: one photograph saved again is near, other pictures are far."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.fft import dctn
from torch import Tensor

from smooth import picture
from trapmid.data.celeba import CROP
from trapmid.data.drawing.images import portraits
from trapmid.data.likeness import NEAR, fingerprints, near, nearest
from trapmid.data.pictures import to_tensor

Change = Callable[[Image.Image], Image.Image]


def saved(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def trimmed(image: Image.Image) -> Image.Image:
    return image.crop((1, 1, image.width - 1, image.height - 1)).resize(image.size)


def halved(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2)).resize(image.size)


CHANGES: dict[str, Change] = {
    "quality 90": lambda image: saved(image, 90),
    "quality 50": lambda image: saved(image, 50),
    "half size": lambda image: saved(halved(image), 90),
    "trimmed": lambda image: saved(trimmed(image), 90),
}


def faces() -> list[Image.Image]:
    drawn = portraits([(person, 0) for person in range(1, 7)], seed=3, size=108)
    return [Image.fromarray(one.permute(1, 2, 0).numpy()) for one in drawn]


def prepared(images: list[Image.Image], size: int) -> Tensor:
    return torch.stack([to_tensor(image, size) for image in images])


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("change", CHANGES)
def test_a_picture_saved_again_is_near_and_others_are_not(change: str, size: int) -> None:
    before = faces()
    after = [CHANGES[change](face) for face in before]
    prints = fingerprints(prepared(before, size))
    found = nearest(fingerprints(prepared(after, size)), prints)
    assert found.place.tolist() == list(range(len(before)))
    assert int(found.distance.max()) <= NEAR
    apart = (prints[:, None] != prints[None]).sum(dim=2)
    assert int(apart[~torch.eye(len(before), dtype=torch.bool)].min()) > NEAR


def test_a_fingerprint_is_scipys_cosine_transform_about_its_median() -> None:
    image = to_tensor(picture(178, 218, 5).crop(CROP), 32)
    grey = image.double().numpy().mean(axis=0)
    # Ours leaves out the factors of the rows and columns that hold a mean, so scipy's come back.
    values = dctn(grey, norm=None)[:16, :16].ravel()[1:]
    expected = np.where(values > np.median(values), 1, -1)
    assert np.array_equal(fingerprints(image[None])[0].numpy(), expected)


def test_nearest_counts_the_bits_that_differ() -> None:
    stream = torch.Generator().manual_seed(0)
    bits = torch.randint(0, 2, (1300, 255), generator=stream)  # more than a block
    others = torch.randint(0, 2, (70, 255), generator=stream)
    found = nearest(bits * 2.0 - 1, others * 2.0 - 1)
    apart = np.count_nonzero(bits.numpy()[:, None] != others.numpy()[None], axis=2)
    assert np.array_equal(found.distance.numpy(), apart.min(axis=1))
    assert np.array_equal(apart[np.arange(1300), found.place.numpy()], apart.min(axis=1))


def test_no_image_has_no_fingerprint() -> None:
    assert fingerprints(torch.empty(0, 3, 16, 16, dtype=torch.uint8)).shape == (0, 255)


def test_near_is_nearest_within_the_bound() -> None:
    """Copies with so many bits flipped, among others; blocks and tiles have ends inside."""
    stream = torch.Generator().manual_seed(1)
    others = torch.randint(0, 2, (4200, 255), generator=stream) * 2.0 - 1
    of = torch.randint(0, len(others), (1100,), generator=stream)
    prints = others[of].clone()
    for row, flipped in enumerate(torch.randint(0, 2 * NEAR, (1100,), generator=stream).tolist()):
        prints[row, torch.randperm(255, generator=stream)[:flipped]] *= -1
    distance, place = nearest(prints, others)
    expected = torch.where(distance <= NEAR, place, -1)
    assert 400 < int((expected >= 0).sum()) < 700
    assert torch.equal(near(prints, others), expected)
    assert near(prints[:2], others[:0]).tolist() == [-1, -1]
