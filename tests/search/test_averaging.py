"""Averages over neighbours against a loop over rows and views, one after another."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import functional as views

from toy import ToyPrior, ToyTarget, seeded, uniform
from trapmid.augment import ResizedCrop
from trapmid.config import params
from trapmid.runtime import counter_normal, counter_uniform, stream_seed
from trapmid.search.averaging import Averaging, Streams, averaged, rows_in_memory
from trapmid.types import Prior, Target

CLASSES = 4
LABELS, DRAWS = torch.tensor([0, 0, 2, 3]), torch.tensor([0, 1, 0, 5])
TAA: dict[str, Any] = {
    "views": 3,
    "noise": 0.0,
    "crop": {"area": [0.6, 1.0], "ratio": [0.9, 1.1]},
    "mirror": 0.5,
    "degrees": 5.0,
}
PAA: dict[str, Any] = {"views": 4, "noise": 0.1, "crop": None, "mirror": 0.0, "degrees": 0.0}
HOW = {"taa": TAA, "paa": PAA, "both": TAA | {"noise": 0.05}}


def averaging(name: str) -> Averaging:
    made: Averaging = params.build(Averaging, HOW[name], "averaging")
    return made


def neighbour(how: Averaging, image: Tensor, label: int, draw: int, step: int, view: int) -> Tensor:
    """One neighbour of one image (3, S, S), from the numbers of its row, with torchvision."""
    draws, size = ResizedCrop.DRAWS + 2, image.shape[-1]
    key = torch.tensor([stream_seed(7, "neighbours", label, draw) + step])
    u = counter_uniform(key, how.views * draws)[:, view * draws : (view + 1) * draws]
    x = image
    if how.crop is not None:
        width, height, left, top = (int(n) for n in how.crop.boxes(u[:, :-2], size))
        x = views.resized_crop(x, top, left, height, width, [size, size], antialias=False)
    if u[0, -2] < how.mirror:
        x = x.flip(-1)
    if how.degrees > 0:
        angle = how.degrees * (2 * u[0, -1].item() - 1)
        x = views.rotate(x, angle, views.InterpolationMode.BILINEAR)
    if how.noise > 0:
        key = torch.tensor([stream_seed(7, "noise of neighbours", label, draw) + step])
        normal = counter_normal(key, how.views * x.numel()).view(how.views, *x.shape)
        x = x + how.noise * normal[view]
    return x


@pytest.mark.parametrize("name", HOW)
def test_the_mean_and_its_slope_equal_a_loop(name: str) -> None:
    """The slope by AlignMI's words: slopes at the neighbours, their mean, then through the prior.

    The neighbours' own slopes go back through their views, which is what autograd does in a loop.
    """
    how, step = averaging(name), 3
    target: Target = seeded(ToyTarget, CLASSES).eval().double()
    prior: Prior = seeded(ToyPrior, CLASSES, seed=1).eval().double()
    z = uniform(4, 5, seed=2).double() - 0.5

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(target(images.double()).logits, labels, reduction="none")

    leaf = z.clone().requires_grad_(True)
    found = averaged(how, prior(leaf, LABELS), LABELS, Streams.of(7, LABELS, DRAWS).at(step), loss)
    (slope,) = torch.autograd.grad(found.sum(), leaf)

    for row, (label, draw) in enumerate(zip(LABELS.tolist(), DRAWS.tolist(), strict=True)):
        leaf = z[row : row + 1].clone().requires_grad_(True)
        image = prior(leaf, LABELS[row : row + 1])
        pixels = image.detach().requires_grad_(True)
        values, slopes = [], []
        for view in range(how.views):
            near = neighbour(how, pixels[0], label, draw, step, view)
            value = loss(near[None], torch.tensor([label])).sum()
            values.append(value.detach())
            slopes.append(torch.autograd.grad(value, pixels)[0])
        mean = torch.stack(slopes).mean(dim=0)
        (wanted,) = torch.autograd.grad(image, leaf, grad_outputs=mean)
        assert found[row].item() == pytest.approx(torch.stack(values).mean().item(), rel=1e-4)
        assert torch.allclose(slope[row], wanted[0], rtol=1e-3, atol=1e-5)


def test_without_averaging_the_loss_is_that_of_the_image() -> None:
    images, streams = uniform(4, 3, 8, 8), Streams.of(7, LABELS, DRAWS)

    def loss(pixels: Tensor, labels: Tensor) -> Tensor:
        return pixels.flatten(1).sum(dim=1) + labels

    assert torch.equal(averaged(None, images, LABELS, streams, loss), loss(images, LABELS))
    assert rows_in_memory(None) == 1 and rows_in_memory(averaging("paa")) == 4


def test_neighbours_differ_by_view_row_step_and_seed() -> None:
    how, image = averaging("both"), uniform(1, 3, 8, 8).expand(4, -1, -1, -1)
    near = [
        how.neighbours(image, streams)
        for streams in (
            Streams.of(7, LABELS, DRAWS),
            Streams.of(7, LABELS, DRAWS).at(1),
            Streams.of(8, LABELS, DRAWS),
        )
    ]
    flat = torch.cat(near).flatten(1)
    assert len(flat) == 3 * 3 * 4
    assert (torch.cdist(flat, flat) + torch.eye(len(flat))).min() > 1e-2
    alone = how.neighbours(image[:1], Streams.of(7, LABELS[2:3], DRAWS[2:3]))
    assert torch.allclose(alone, near[0].view(3, 4, 3, 8, 8)[:, 2], atol=1e-6)


def test_noise_has_its_deviation() -> None:
    how, image = averaging("paa"), torch.full((4, 3, 32, 32), 0.5)
    noise = how.neighbours(image, Streams.of(7, LABELS, DRAWS)) - 0.5
    assert noise.std().item() == pytest.approx(0.1, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.002)
    rows = noise.flatten(1)
    assert torch.corrcoef(rows).triu(1).abs().max() < 0.08  # 3,072 numbers: 4.4 deviations


def test_neighbours_that_are_the_image_itself_are_refused() -> None:
    with pytest.raises(ValueError, match=r"averaging\.noise: 0 without crop, mirror and degrees"):
        params.build(Averaging, PAA | {"noise": 0.0}, "averaging")
