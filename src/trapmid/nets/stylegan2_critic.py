"""StyleGAN2's critic, the residual discriminator (Karras et al., CVPR 2020).

29,012,513 parameters at 1,024 pixels, 24,001,089 for `paper256`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trapmid.nets.stylegan2 import EPSILON, SMALLEST, Dense, Size, activate, filtered, fir


class Critic(nn.Module):
    """(N, 3, S, S) of about [-1, 1] -> (N,), higher for real ones: the residual discriminator.

    The deviation over a batch is one of its features. In eval mode, where rows must not see each
    other, it is the mean that a training met.

    Args:
        size: of the generator whose images it sees.
        group: images whose deviation is one feature; divides every batch of a training.
    """

    spread: Tensor

    def __init__(self, size: Size, group: int) -> None:
        super().__init__()
        resolutions = size.resolutions()[::-1]
        last = size.channels(SMALLEST)
        self.group = group
        self.from_rgb = EqualConv(3, size.channels(size.image_size), 1)
        self.blocks = nn.ModuleList(
            DownBlock(size.channels(r), size.channels(r // 2)) for r in resolutions[:-1]
        )
        self.conv = EqualConv(last + 1, last, 3)
        self.dense = Dense(last * SMALLEST**2, last)
        self.out = Dense(last, 1)
        self.register_buffer("spread", torch.zeros([]))

    def forward(self, images: Tensor) -> Tensor:
        x = activate(self.from_rgb(images))
        for block in self.blocks:
            x = block(x)
        x = torch.cat([x, self._deviation(x)], dim=1)
        x = activate(self.conv(x))
        score: Tensor = self.out(activate(self.dense(x.flatten(1)))).squeeze(1)
        return score

    def _deviation(self, x: Tensor) -> Tensor:
        """(N, 1, r, r): the mean deviation of `x` over groups of the batch (ProGAN, sec. 3)."""
        if not self.training:
            return self.spread.to(x.dtype).expand(len(x), 1, *x.shape[2:])
        parts = x.float().view(self.group, -1, *x.shape[1:])
        variance = parts.var(dim=0, unbiased=False)
        spread = (variance + EPSILON).sqrt().mean(dim=(1, 2, 3))  # (N / group,)
        with torch.no_grad():
            self.spread.lerp_(spread.mean(), 0.01)
        return (
            spread.to(x.dtype).repeat(self.group)[:, None, None, None].expand(-1, 1, *x.shape[2:])
        )


class DownBlock(nn.Module):
    """Two convolutions beside a skip connection; half as many pixels."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv0 = EqualConv(inside, inside, 3)
        self.conv1 = EqualConv(inside, outside, 3, down=True)
        self.skip = EqualConv(inside, outside, 1, down=True, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        deep = activate(self.conv1(activate(self.conv0(x))))
        out: Tensor = (deep + self.skip(x)) * math.sqrt(0.5)
        return out


class EqualConv(nn.Module):
    """A convolution whose weights N(0, 1) are scaled by 1 / sqrt(fan-in) at run time."""

    resample_filter: Tensor

    def __init__(
        self, inside: int, outside: int, kernel: int, *, down: bool = False, bias: bool = True
    ) -> None:
        super().__init__()
        self.down, self.gain = down, 1 / math.sqrt(inside * kernel**2)
        self.weight = nn.Parameter(torch.randn(outside, inside, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outside)) if bias else None
        if down:
            self.register_buffer("resample_filter", fir(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        weight, side = self.weight * self.gain, self.weight.shape[-1] // 2
        if not self.down:
            return F.conv2d(x, weight, self.bias, padding=side)
        x = filtered(x, self.resample_filter, (side + 1, side + 1), gain=1)
        return F.conv2d(x, weight, self.bias, stride=2)
