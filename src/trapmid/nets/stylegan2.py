"""StyleGAN2's generator in plain PyTorch (Karras et al., CVPR 2020; ADA, NeurIPS 2020).

With the sizes of NVIDIA's released networks they have the official parameters: 30,370,060 for FFHQ
at 1,024 pixels, 24,767,458 for `paper256`. Weights have NVIDIA's names, so converted files load
strictly. Written from the papers and a description; no code is taken over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trapmid.types import Features

_SLOPE, _GAIN = 0.2, math.sqrt(2)  # of every leaky ReLU; the gain keeps the variance
EPSILON = 1e-8
SMALLEST = 4  # pixels of the learnt constant


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a generator is, and so its critic (`stylegan2_critic`).

    Raises:
        ValueError: `image_size` is not a power of two from 8 on.
    """

    image_size: int
    z_dim: int = 512
    w_dim: int = 512
    base: int = 32768  # channels at r pixels: base / r, at most `most`
    most: int = 512
    layers: int = 8  # of the mapping
    mapping_lr: float = 0.01  # by which the mapping's weights are scaled at run time
    clamp: float | None = None  # bound of what a convolution returns; 256 in released trainings

    def __post_init__(self) -> None:
        if self.image_size < 2 * SMALLEST or self.image_size & (self.image_size - 1):
            raise ValueError(f"image_size: {self.image_size} is not a power of two from 8 on")

    def resolutions(self) -> list[int]:
        """4, 8, ... `image_size` pixels: one block each."""
        return [2**i for i in range(2, int(math.log2(self.image_size)) + 1)]

    def channels(self, resolution: int) -> int:
        """Of the feature maps of so many pixels."""
        return min(self.base // resolution, self.most)

    @property
    def num_styles(self) -> int:
        """How many style codes one image takes: 2 log2(image_size) - 2."""
        return 2 * len(self.resolutions())


class Generator(nn.Module):
    """(N, z_dim) -> images (N, 3, S, S), about [-1, 1] and not clipped."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.mapping = Mapping(size)
        self.synthesis = Synthesis(size)

    def forward(self, z: Tensor, noise: str = "const") -> Tensor:
        codes: Tensor = self.mapping(z)
        images: Tensor = self.synthesis(self.mapping.repeated(codes), noise)
        return images


class Mapping(nn.Module):
    """Latents (N, z_dim) to style codes (N, w_dim); `w_avg` is their mean over the training."""

    w_avg: Tensor

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.num_styles, self.layers = size.num_styles, size.layers
        for i in range(size.layers):
            inside = size.z_dim if i == 0 else size.w_dim
            self.add_module(f"fc{i}", Dense(inside, size.w_dim, lr=size.mapping_lr))
        self.register_buffer("w_avg", torch.zeros(size.w_dim))

    def forward(self, z: Tensor) -> Tensor:
        x = z * (z.square().mean(dim=1, keepdim=True) + EPSILON).rsqrt()
        for i in range(self.layers):
            x = activate(getattr(self, f"fc{i}")(x))
        return x

    @torch.no_grad()
    def follow(self, codes: Tensor, decay: float = 0.995) -> None:
        """Moves `w_avg` towards the mean of a training's batch of codes (N, w_dim)."""
        self.w_avg.lerp_(codes.detach().float().mean(dim=0), 1 - decay)

    def repeated(self, codes: Tensor) -> Tensor:
        """(N, w_dim) -> (N, L, w_dim): the same code for all L layers."""
        return codes[:, None].expand(-1, self.num_styles, -1)

    def truncate(self, codes: Tensor, psi: float, cutoff: int | None) -> Tensor:
        """Codes (N, L, w_dim) whose first `cutoff` layers are w_avg + psi (w - w_avg).

        psi 1 changes nothing; None: all layers.
        """
        last = self.num_styles if cutoff is None else cutoff
        near = self.w_avg + psi * (codes[:, :last] - self.w_avg)
        return torch.cat([near, codes[:, last:]], dim=1)


class Synthesis(nn.Module):
    """Style codes (N, L, w_dim) to images (N, 3, S, S), block by block."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.resolutions = size.resolutions()
        for resolution in self.resolutions:
            self.add_module(f"b{resolution}", Block(size, resolution))

    def forward(self, codes: Tensor, noise: str = "const") -> Tensor:
        made = None
        for number in range(len(self.resolutions)):
            made = self.block(number, made, codes, noise)
        assert made is not None and made.painted is not None
        return made.painted

    def block(
        self, number: int, before: Features | None, codes: Tensor, noise: str = "const"
    ) -> Features:
        """What block `number` (0: 4 pixels) makes of what the one before it returned.

        A block's convolutions and its `torgb` use successive codes, and the next block's first
        convolution the code of this one's `torgb`.
        """
        resolution = self.resolutions[number]
        first = max(0, 2 * number - 1)
        own = codes[:, first : 2 * number + 2].unbind(dim=1)
        block: Block = getattr(self, f"b{resolution}")
        made: Features = block(before, own, noise)
        return made


class Block(nn.Module):
    """One resolution: convolutions, and what it adds to the image."""

    resample_filter: Tensor

    def __init__(self, size: Size, resolution: int) -> None:
        super().__init__()
        outside = size.channels(resolution)
        self.first = resolution == SMALLEST
        if self.first:
            self.const = nn.Parameter(torch.randn(outside, resolution, resolution))
        else:
            inside = size.channels(resolution // 2)
            self.conv0 = StyledConv(size, inside, outside, resolution, up=True)
        self.conv1 = StyledConv(size, outside, outside, resolution, up=False)
        self.torgb = ToRgb(size, outside)
        self.register_buffer("resample_filter", fir())

    def forward(self, before: Features | None, codes: tuple[Tensor, ...], noise: str) -> Features:
        if self.first:
            x = self.const.expand(len(codes[0]), -1, -1, -1)
            image = None
        else:
            assert before is not None
            x = self.conv0(before.maps, codes[0], noise)
            image = before.painted
        x = self.conv1(x, codes[-2], noise)
        painted = self.torgb(x, codes[-1])
        if image is not None:
            painted = upsample(image, self.resample_filter) + painted
        return Features(x, painted)


class StyledConv(nn.Module):
    """A 3 x 3 convolution whose input channels a style code scales.

    The paper scales the weights of every sample. Here the activations are scaled before one shared
    convolution, and demodulated after it: the same function, without weights of each sample.
    """

    noise_const: Tensor
    resample_filter: Tensor

    def __init__(self, size: Size, inside: int, outside: int, resolution: int, *, up: bool) -> None:
        super().__init__()
        self.up, self.clamp = up, size.clamp
        self.affine = Dense(size.w_dim, inside, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outside, inside, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outside))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", fir())

    def forward(self, x: Tensor, code: Tensor, noise: str) -> Tensor:
        style = self.affine(code)
        energy = self.weight.square().sum(dim=(2, 3))  # (out, in)
        demodulation = (style.square() @ energy.T + EPSILON).rsqrt()
        x = x * style[:, :, None, None]
        if self.up:  # a transposed convolution flips the kernel, which is what upsampling asks for
            x = F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2)
            x = filtered(x, self.resample_filter, (1, 1), gain=4)
        else:
            x = F.conv2d(x, self.weight, padding=1)
        x = x * demodulation[:, :, None, None]
        if (pattern := self._noise(x, noise)) is not None:
            x = x + pattern * self.noise_strength
        return bounded(activate(x + self.bias[:, None, None]), self.clamp)

    def _noise(self, x: Tensor, kind: str) -> Tensor | None:
        """One map for all channels: the stored one, a fresh one for every image, or none."""
        if kind == "const":
            return self.noise_const
        if kind == "random":
            return torch.randn(len(x), 1, *x.shape[2:]).to(x.device)
        if kind != "none":
            raise ValueError(f"noise: {kind!r} is not one of const, random, none")
        return None


class ToRgb(nn.Module):
    """What a block paints: a 1 x 1 convolution, scaled by a style code, not demodulated."""

    def __init__(self, size: Size, inside: int) -> None:
        super().__init__()
        self.clamp = size.clamp
        self.affine = Dense(size.w_dim, inside, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, inside, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        style = self.affine(code) / math.sqrt(x.shape[1])
        rgb = F.conv2d(x * style[:, :, None, None], self.weight, self.bias)
        return bounded(rgb, self.clamp)


class Dense(nn.Module):
    """A linear layer whose weights N(0, 1 / lr^2) are scaled by lr / sqrt(inside) at run time."""

    def __init__(self, inside: int, outside: int, *, bias: float = 0.0, lr: float = 1.0) -> None:
        super().__init__()
        self.lr, self.gain = lr, lr / math.sqrt(inside)
        self.weight = nn.Parameter(torch.randn(outside, inside) / lr)
        self.bias = nn.Parameter(torch.full((outside,), bias))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.gain, self.bias * self.lr)


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, times sqrt 2."""
    return F.leaky_relu(x, _SLOPE) * _GAIN


def bounded(x: Tensor, clamp: float | None) -> Tensor:
    """`x`, clamped to [-clamp, clamp]."""
    return x if clamp is None else x.clamp(-clamp, clamp)


def fir() -> Tensor:
    """The low-pass filter of every resampling: [1, 3, 3, 1] x [1, 3, 3, 1] / 64, (4, 4)."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(taps, taps) / 64


def filtered(x: Tensor, taps: Tensor, pad: tuple[int, int], gain: float) -> Tensor:
    """`x` (N, C, H, W), zero-padded by `pad` before and after, under the filter `taps`."""
    kernel = (taps * gain).to(x.dtype).expand(x.shape[1], 1, -1, -1)
    return F.conv2d(F.pad(x, (*pad, *pad)), kernel, groups=x.shape[1])


def upsample(images: Tensor, taps: Tensor) -> Tensor:
    """Twice as many pixels: zeros between them, then the filter.

    Bilinear but for the border, beyond which it sees black.
    """
    n, channels, height, width = images.shape
    sparse = images.new_zeros(n, channels, height, 2, width, 2)
    sparse[:, :, :, 0, :, 0] = images
    return filtered(sparse.view(n, channels, 2 * height, 2 * width), taps, (2, 1), gain=4)
