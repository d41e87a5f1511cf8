"""GMI's generator and critic (Zhang et al., CVPR 2020), shared with KED-MI's prior.

At size 64 and width 64 they have the official 5,142,083 and 4,316,545 parameters.
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from trapmid.nets.snresnet import resolution_plan
from trapmid.types import Features


class Generator(nn.Module):
    """(N, latent_dim) -> (N, 3, S, S) in [0, 1] by a sigmoid."""

    def __init__(self, latent_dim: int, image_size: int, width: int) -> None:
        super().__init__()
        self.base, doublings = resolution_plan(image_size)
        self.num_blocks = 1 + doublings
        widths = [width * 2 ** (doublings - 1 - i) for i in range(doublings)]
        flat = widths[0] * self.base**2
        self.stem = nn.Sequential(
            nn.Linear(latent_dim, flat, bias=False), nn.BatchNorm1d(flat), nn.ReLU()
        )
        layers: list[nn.Module] = []
        for inside, outside in itertools.pairwise(widths):
            layers += [_up(inside, outside, bias=False), nn.BatchNorm2d(outside), nn.ReLU()]
        self.body = nn.Sequential(*layers, _up(widths[-1], 3, bias=True), nn.Sigmoid())

    def forward(self, latents: Tensor) -> Tensor:
        images: Tensor = self.body(self._first(latents))
        return images

    def block(self, number: int, before: Features | None, latents: Tensor) -> Features:
        """As `types.BlockPrior.block`: the stem, then what doubles the resolution once each."""
        if before is None:
            return Features(self._first(latents))
        cuts = [i for i, one in enumerate(self.body) if isinstance(one, nn.ConvTranspose2d)]
        ends = [*cuts, len(self.body)]
        return Features(self.body[ends[number - 1] : ends[number]](before.maps))

    def _first(self, latents: Tensor) -> Tensor:
        x: Tensor = self.stem(latents)
        return x.view(len(x), -1, self.base, self.base)


def _up(inside: int, outside: int, *, bias: bool) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inside, outside, 5, stride=2, padding=2, output_padding=1, bias=bias)


class Critic(nn.Module):
    """(N, 3, S, S) -> (N,). Instance norm, not batch norm: the penalty is per image."""

    def __init__(self, image_size: int, width: int) -> None:
        super().__init__()
        base, doublings = resolution_plan(image_size)
        widths = [3, *(width * 2**i for i in range(doublings))]
        layers: list[nn.Module] = []
        for i, (inside, outside) in enumerate(itertools.pairwise(widths)):
            layers.append(nn.Conv2d(inside, outside, 5, stride=2, padding=2))
            if i > 0:
                layers.append(nn.InstanceNorm2d(outside, affine=True))
            layers.append(nn.LeakyReLU(0.2))
        self.body = nn.Sequential(*layers)
        self.head = nn.Conv2d(widths[-1], 1, base)

    def forward(self, images: Tensor) -> Tensor:
        score: Tensor = self.head(self.body(images)).flatten()
        return score
