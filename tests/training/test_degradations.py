"""Degraded images: against direct sums, a reference blur, and what each one is to leave alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from toy import images
from trapmid.training import degradations

STILL = (torch.ones(1), torch.zeros(1))


def test_a_blur_is_scipys() -> None:
    picture = images(1, size=32)
    found = degradations.resample(picture, torch.tensor([1.5]), STILL, STILL)[0].numpy()
    expected = gaussian_filter(picture[0].double().numpy(), (0, 1.5, 1.5), truncate=20)
    np.testing.assert_allclose(found[:, 8:-8, 8:-8], expected[:, 8:-8, 8:-8], atol=1e-5)


def test_the_least_blur_is_next_to_none() -> None:
    picture = images(3, size=16)
    still = (torch.ones(3), torch.zeros(3))
    found = degradations.resample(picture, torch.full((3,), 0.3), still, still)
    assert float((found - picture).abs().max()) < 0.02


@pytest.mark.parametrize("axis", [0, 1])
def test_a_shift_moves_along_one_axis(axis: int) -> None:
    picture = images(1, size=16)
    moved = (torch.ones(1), torch.full((1,), 2 / 16))  # two pixels
    axes = (moved, STILL) if axis == 0 else (STILL, moved)
    found = degradations.resample(picture, torch.tensor([0.2]), *axes)
    expected = picture.roll(-2, dims=2 + axis).narrow(2 + axis, 0, 14)
    assert torch.allclose(found.narrow(2 + axis, 0, 14), expected, atol=1e-4)


def test_a_scale_of_2_shows_the_middle_half() -> None:
    ramp = torch.arange(16.0).expand(1, 3, 16, 16)
    half = (torch.full((1,), 0.5), torch.zeros(1))
    found = degradations.resample(ramp, torch.tensor([0.5]), STILL, half)[0, 0, 0]
    assert found[:2].tolist() == pytest.approx([3.75, 4.25], abs=0.03)


def test_flat_images_stay_flat_under_every_move() -> None:
    flat = torch.full((4, 3, 16, 16), 0.4)
    axis = (torch.tensor([0.9, 1.1, 1.0, 1.2]), torch.tensor([0.1, -0.1, 0.0, 0.06]))
    found = degradations.resample(flat, torch.tensor([0.3, 1.0, 2.0, 0.3]), axis, axis)
    assert torch.allclose(found, flat)


def test_degraded_images_are_images_and_depend_on_the_seed() -> None:
    picture = torch.nn.functional.interpolate(images(64, size=4), (16, 16), mode="bicubic").clamp(
        0, 1
    )
    before = picture.clone()
    torch.manual_seed(0)
    one = degradations.degrade(picture)
    torch.manual_seed(0)
    again = degradations.degrade(picture)
    other = degradations.degrade(picture)
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert one.shape == picture.shape and one.min() >= 0 and one.max() <= 1
    assert torch.equal(picture, before)
    # A face stays the same face: most of its variance is still there, mirrored or not.
    same = torch.maximum(_likeness(one, picture), _likeness(one.flip(-1), picture))
    assert float(same.median()) > 0.6


def test_a_degradation_by_its_numbers() -> None:
    """Of each image on its own: blur, two moves, mirror, contrast, brightness, cast and noise."""
    pictures, n = images(60, size=16), 60
    torch.manual_seed(7)
    found = degradations.degrade(pictures)
    torch.manual_seed(7)

    def u(*shape: int) -> torch.Tensor:
        return torch.rand(n, *shape)

    def signed(*shape: int) -> torch.Tensor:
        return 2 * u(*shape) - 1

    blur = 1.8 * u() * (u() < 0.5)
    rows, columns = ((1 + 0.08 * signed(), 0.06 * signed()) for _ in range(2))
    moved = degradations.resample(pictures, blur.clamp(min=0.3), rows, columns)
    mirrored, contrast = u() < 0.5, 0.7 + 0.5 * u()
    brightness, cast = 0.06 * signed(), 0.04 * signed(3)
    deviation, noise = 0.08 * u() * (u() < 0.5), torch.randn(n, 3, 16, 16)
    assert 0.3 < (blur > 0).float().mean() < 0.7 and 0.3 < mirrored.float().mean() < 0.7
    for i, picture in enumerate(moved):
        x = picture.flip(-1) if mirrored[i] else picture
        x = (x - x.mean()) * contrast[i] + x.mean() + brightness[i] + cast[i][:, None, None]
        wanted = (x + deviation[i] * noise[i]).clamp(0, 1)
        assert torch.allclose(found[i], wanted, atol=1e-5), i


def _likeness(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    a, b = (x.flatten(1) - x.flatten(1).mean(1, keepdim=True) for x in (one, other))
    return torch.nn.functional.cosine_similarity(a, b)
