"""PLG-MI's conditional residual generator and projection discriminator (Yuan et al., AAAI 2023).

At size 64 and width 64 they have the official 17,973,379 and 11,165,441 parameters (1,000 classes).
Smaller sizes drop blocks. The 1x1 shortcuts run at the lower resolution: they commute with bilinear
upsampling and average pooling, so the function is the official one.
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from trapmid.types import Features


def resolution_plan(image_size: int) -> tuple[int, int]:
    """(base, doublings) with image_size = base * 2**doublings and base in 4..7.

    Raises:
        ValueError: no such pair exists.
    """
    doublings = max(0, int(math.log2(image_size / 4)))
    base, rest = divmod(image_size, 2**doublings)
    if rest or not 4 <= base <= 7:
        raise ValueError(f"image_size: {image_size} is not 4, 5, 6 or 7 times a power of two")
    return base, doublings


class ConditionalBatchNorm(nn.Module):
    """Batch normalisation whose gain and bias are looked up by class; starts as the identity."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Embedding(num_classes, channels)
        self.bias = nn.Embedding(num_classes, channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        gain, bias = self.gain(labels)[:, :, None, None], self.bias(labels)[:, :, None, None]
        scaled: Tensor = self.norm(x) * gain + bias
        return scaled


class UpBlock(nn.Module):
    def __init__(self, inside: int, outside: int, num_classes: int) -> None:
        super().__init__()
        self.norm1 = ConditionalBatchNorm(inside, num_classes)
        self.conv1 = nn.Conv2d(inside, outside, 3, padding=1)
        self.norm2 = ConditionalBatchNorm(outside, num_classes)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1)
        self.shortcut = nn.Conv2d(inside, outside, 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        h = self.conv1(_double(F.relu(self.norm1(x, labels))))
        h = self.conv2(F.relu(self.norm2(h, labels)))
        out: Tensor = h + _double(self.shortcut(x))
        return out


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Generator(nn.Module):
    """(N, latent_dim), (N,) -> (N, 3, S, S) in [-1, 1] by tanh.

    The real images live in [0, 1]; the official code does not rescale, so neither do we.
    """

    def __init__(self, latent_dim: int, num_classes: int, image_size: int, width: int) -> None:
        super().__init__()
        self.base, doublings = resolution_plan(image_size)
        widths = [width * 2 ** (doublings - i) for i in range(doublings + 1)]
        self.linear = nn.Linear(latent_dim, widths[0] * self.base**2)
        self.num_blocks = 1 + doublings
        self.blocks = nn.ModuleList(
            UpBlock(a, b, num_classes) for a, b in itertools.pairwise(widths)
        )
        self.norm = nn.BatchNorm2d(width)
        self.to_rgb = nn.Conv2d(width, 3, 1)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        x = self._first(latents)
        for block in self.blocks:
            x = block(x, labels)
        return self._last(x)

    def block(
        self, number: int, before: Features | None, latents: Tensor, labels: Tensor
    ) -> Features:
        """As `types.BlockPrior.block`: the linear layer, then the residual blocks."""
        if before is None:
            return Features(self._first(latents))
        x = self.blocks[number - 1](before.maps, labels)
        return Features(self._last(x) if number == len(self.blocks) else x)

    def _first(self, latents: Tensor) -> Tensor:
        x: Tensor = self.linear(latents)
        return x.view(len(x), -1, self.base, self.base)

    def _last(self, x: Tensor) -> Tensor:
        return torch.tanh(self.to_rgb(F.relu(self.norm(x))))


class DownBlock(nn.Module):
    """Residual block with average pooling; the first one of a network acts on raw pixels."""

    def __init__(self, inside: int, outside: int, *, first: bool) -> None:
        super().__init__()
        self.first = first
        hidden = outside if first else inside
        self.conv1 = _normed(nn.Conv2d(inside, hidden, 3, padding=1), gain=math.sqrt(2))
        self.conv2 = _normed(nn.Conv2d(hidden, outside, 3, padding=1), gain=math.sqrt(2))
        self.shortcut = _normed(nn.Conv2d(inside, outside, 1), gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(x if self.first else F.relu(x))
        h = F.avg_pool2d(self.conv2(F.relu(h)), 2)
        out: Tensor = h + self.shortcut(F.avg_pool2d(x, 2))
        return out


class ProjectionDiscriminator(nn.Module):
    """(N, 3, S, S), (N,) -> (N,): `l(h) + <e_y, h>`, spectrally normed (Miyato, Koyama, 2018)."""

    def __init__(self, num_classes: int, image_size: int, width: int) -> None:
        super().__init__()
        _, doublings = resolution_plan(image_size)
        widths = [3, *(width * 2**i for i in range(doublings + 1))]
        self.blocks = nn.ModuleList(
            DownBlock(a, b, first=i == 0) for i, (a, b) in enumerate(itertools.pairwise(widths))
        )
        self.linear = _normed(nn.Linear(widths[-1], 1), gain=1.0)
        self.embedding = _normed(nn.Embedding(num_classes, widths[-1]), gain=1.0)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        x = images
        for block in self.blocks:
            x = block(x)
        h = F.relu(x).sum(dim=(2, 3))
        score: Tensor = self.linear(h).squeeze(1) + (self.embedding(labels) * h).sum(dim=1)
        return score

    def settle(self) -> None:
        """As `SpectralNorm.settle`, of every layer; changes nothing after a training's forward."""
        for part in self.modules():
            if isinstance(part, SpectralNorm):
                part.settle()


class SpectralNorm(nn.Module):
    """Divides a weight by its largest singular value (Miyato et al., 2018).

    torch's own parametrisation, with two differences: always in float32, since matrix-vector
    products in bf16 are a hundred times slower on a CPU; and one power iteration a forward from a
    random start, as the legacy hook of the official code, instead of fifteen first.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.flatten(1)
        self.register_buffer("u", F.normalize(torch.randn(matrix.shape[0]), dim=0))
        self.register_buffer("v", F.normalize(torch.randn(matrix.shape[1]), dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            matrix = weight.flatten(1)
            if self.training:
                with torch.no_grad():
                    self.v = F.normalize(matrix.T @ self.u, dim=0, eps=1e-12)
                    self.u = F.normalize(matrix @ self.v, dim=0, eps=1e-12)
            return weight / torch.dot(self.u, matrix @ self.v)

    @torch.no_grad()
    def settle(self) -> None:
        """Gives `u` length 1 where it has another, as in a vector of one class that was repeated.

        Until then the singular value is too large by that length. The next forward of a training
        does so by itself; to do it before would change its last bits.
        """
        if not 0.99 < float(self.u.norm()) < 1.01:  # rounded to half precision it is within
            self.u = F.normalize(self.u, dim=0)


def _normed(layer: nn.Conv2d | nn.Linear | nn.Embedding, *, gain: float) -> nn.Module:
    nn.init.xavier_uniform_(layer.weight, gain=gain)
    return parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight))
