"""Priors in blocks: one after another they are the generator, and any of them may be the first."""

from __future__ import annotations

import pytest
import torch

from toy import seeded, uniform
from trapmid.nets.stylegan2 import Size
from trapmid.priors import gmi, kedmi, plgmi, style
from trapmid.types import BlockPrior, StylePrior

CLASSES, LABELS = 3, torch.tensor([2, 0, 1, 1])
SIZE = Size(image_size=16, z_dim=5, w_dim=5, base=32, most=4, layers=2)
PRIORS: dict[str, BlockPrior] = {
    "gmi": seeded(gmi.Prior, 5, 16, 2),
    "kedmi": seeded(kedmi.Prior, 5, CLASSES, 16, 2),
    "plgmi": seeded(plgmi.Prior, 5, CLASSES, 16, 2),
    "style": seeded(style.Prior, SIZE, style.View(12, 16), None, None, 1),
}
BLOCKS = {"gmi": 3, "kedmi": 3, "plgmi": 3, "style": 3}
"""The first map of 4 pixels, or the stem that makes it, and two doublings."""


@pytest.mark.parametrize("name", PRIORS)
@torch.no_grad()
def test_blocks_are_the_generator(name: str) -> None:
    prior = PRIORS[name].eval()
    latents = uniform(4, 5, seed=1) - 0.5
    codes, images = prior.codes(latents), prior(latents, LABELS)
    if isinstance(prior, StylePrior):  # whose images of latents are clipped, and blocks are not
        images = prior.paint(prior.styles(latents, 1.0, None))
    assert prior.num_blocks == BLOCKS[name]
    last = prior.through(0, prior.num_blocks, None, codes, LABELS)
    assert torch.allclose(prior.shown(last), images, atol=1e-6)
    sizes = []
    for first in range(1, prior.num_blocks):
        entering = prior.through(0, first, None, codes, LABELS)
        sizes.append(entering.maps.shape[-1])
        last = prior.through(first, prior.num_blocks, entering, codes, LABELS)
        assert torch.allclose(prior.shown(last), images, atol=1e-6)
        other = entering._replace(maps=entering.maps + 0.5)
        moved = prior.shown(prior.through(first, prior.num_blocks, other, codes, LABELS))
        assert not torch.allclose(moved, images, atol=1e-3)
    assert sizes == [4, 8]
