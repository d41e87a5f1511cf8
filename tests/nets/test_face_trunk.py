"""The trunk of judges of drawn faces."""

from __future__ import annotations

import pytest
import torch

from toy import seeded
from trapmid.nets.face_trunk import FaceTrunk, resized


def test_a_trunk_keeps_positions() -> None:
    """A spot elsewhere is another vector, which an average over the map would not see."""
    trunk = seeded(FaceTrunk, 32, 5, statistics=False).eval()
    images = torch.zeros(2, 3, 32, 32)
    images[0, :, 8:12, 8:12] = images[1, :, 8:12, 16:20] = (
        1  # eight pixels apart: a step of the map
    )
    with torch.no_grad():
        one, other = trunk(images)
    assert one.shape == (5,)
    assert float((one - other).abs().max()) > 1e-3


@pytest.mark.parametrize("size", [8, 20, 33])
def test_a_size_that_does_not_fit_is_refused(size: int) -> None:
    with pytest.raises(
        ValueError, match=rf"^image_size: must be a multiple of 8 >= 16, is {size}$"
    ):
        FaceTrunk(size, 5)


def test_images_shrink_by_the_mean_of_their_pixels() -> None:
    """At half the size each pixel is a weighted mean: flat stays flat, and the mean is kept."""
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = resized(images, 32)
    assert found.shape == (1, 3, 32, 32)
    assert float(found.mean()) == pytest.approx(float(images.mean()), abs=2e-3)
    assert float(found.std()) < 0.7 * float(images.std())  # noise is averaged, not picked
    assert torch.allclose(resized(torch.full((1, 3, 64, 64), 0.3), 32), torch.tensor(0.3))
    assert resized(images, 64) is images
