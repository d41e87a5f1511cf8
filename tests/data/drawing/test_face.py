"""The pixels of drawn faces."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trapmid.data.drawing.face import render
from trapmid.data.drawing.vectors import ATTRIBUTES, NUISANCES, identity_vectors, nuisance_vectors

pytestmark = pytest.mark.usefixtures("one_thread")


def draw(pairs: list[tuple[int, int]], *, seed: int = 1, domain: str = "celeba") -> Tensor:
    identities = identity_vectors([identity for identity, _ in pairs], seed=seed, domain=domain)
    nuisances = nuisance_vectors(pairs, seed=seed, domain=domain)
    height, width = (218, 178) if domain == "celeba" else (128, 128)
    return render(identities, nuisances, height=height, width=width, framing=domain)


@pytest.mark.parametrize(("domain", "size"), [("celeba", (218, 178)), ("ffhq", (128, 128))])
def test_pixels_do_not_depend_on_the_batch(domain: str, size: tuple[int, int]) -> None:
    pairs = [(identity, image) for identity in range(3) for image in range(3)]
    batch = draw(pairs, domain=domain)
    assert batch.shape == (9, 3, *size) and batch.dtype == torch.float64
    assert batch.min() >= 0 and batch.max() <= 1
    assert torch.equal(draw(pairs, domain=domain), batch)
    assert torch.equal(draw([(1, 2)], domain=domain)[0], batch[5])
    assert not torch.equal(batch[0], batch[1])


@pytest.mark.slow
def test_identities_differ_more_than_their_images() -> None:
    groups = [[(identity, image) for image in range(8)] for identity in range(24)]
    crops = torch.stack([draw(group)[:, :, 55:163, 35:143] for group in groups])
    small = torch.nn.functional.interpolate(
        crops.flatten(0, 1), size=(32, 32), mode="bilinear", antialias=True
    ).reshape(24, 8, -1)
    within = small.var(dim=1).mean(dim=0)
    # The means of 8 images vary by within / 8 even if all identities were one.
    between = small.mean(dim=1).var(dim=0) - within / 8
    assert between.mean() > within.mean()
    # Identification must not be trivial either: no pixel alone tells identities apart.
    assert (between / within).max() < 12


def test_ffhq_crop_shows_celeba_view() -> None:
    identities = identity_vectors([3], seed=1)
    nuisances = nuisance_vectors([(3, 0)], seed=1, domain="celeba")
    nuisances[:, NUISANCES.index("noise")] = 0
    one = render(identities, nuisances, height=218, width=178, framing="celeba")
    two = render(identities, nuisances, height=128, width=128, framing="ffhq")
    views = [one[:, :, 55:163, 35:143], two[:, :, 20:108, 20:108]]
    small = [torch.nn.functional.interpolate(v, (22, 22), mode="area") for v in views]
    assert (small[0] - small[1]).abs().mean() < 0.02


def test_glasses_and_beard_are_drawn() -> None:
    identity = identity_vectors([2], seed=1).repeat(3, 1)
    identity[:, ATTRIBUTES.index("glasses")] = torch.tensor([0.1, 0.9, 0.1])
    identity[:, ATTRIBUTES.index("facial_hair")] = torch.tensor([0.1, 0.1, 0.9])
    nuisances = nuisance_vectors([(2, 0)] * 3, seed=1, domain="celeba")
    plain, glasses, beard = render(identity, nuisances, height=218, width=178, framing="celeba")
    assert (plain - glasses).abs()[:, 95:130, 60:120].mean() > 0.02
    assert torch.equal(plain[:, :60], glasses[:, :60])
    assert (plain - beard).abs()[:, 135:170, 70:110].mean() > 0.02


def test_bad_arguments_raise() -> None:
    identities = identity_vectors([1], seed=1)
    nuisances = nuisance_vectors([(1, 0)], seed=1, domain="celeba")
    with pytest.raises(ValueError, match="framing"):
        render(identities, nuisances, height=64, width=64, framing="lfw")
    with pytest.raises(ValueError, match="shapes"):
        render(identities, nuisances[:, 1:], height=64, width=64, framing="ffhq")
