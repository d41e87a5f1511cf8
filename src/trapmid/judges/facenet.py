"""FaceNet as facenet-pytorch publishes it: Inception-ResNet-v1, learnt from VGGFace2's photographs.

Schroff et al. (CVPR 2015) in the network of Szegedy et al. (AAAI 2017, sec. 3.2). Its squared
distances are the "FaceNet distance" of PPA (Struppek et al., ICML 2022) and of the paper's tables
11 and 19. 23,482,624 parameters without the classifier. The weights are for research and are not
shipped: `trapmid import` reads 20180402-114759-vggface2.pt.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trapmid.types import Verifier

SIDE = 160
_DIM = 512
_EPS = 1e-3  # of every batch normalisation

Kernel = int | tuple[int, int]


class Judge(Verifier):
    """Unit embeddings of faces, (N, 512); images of any size are resized to 160 pixels."""

    def __init__(self, image_size: int = SIDE) -> None:
        super().__init__(image_size)
        self.trunk = nn.Sequential(
            *_stem(),
            *(_unit35() for _ in range(5)),
            _reduction6(),
            *(_unit17() for _ in range(10)),
            _reduction7(),
            *(_unit8(0.2) for _ in range(5)),
            _unit8(1.0, last=True),
        )
        self.linear = nn.Linear(1792, _DIM, bias=False)
        self.norm = nn.BatchNorm1d(_DIM, eps=_EPS)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-1] != SIDE:
            images = F.interpolate(
                images, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True
            )
        x = self.trunk(2 * images - 1).mean(dim=(2, 3))
        return F.normalize(self.norm(self.linear(x)), dim=1)


class Split(nn.Module):
    """What several branches make of one image, one behind the other along the channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Unit(nn.Module):
    """x + scale * mix(branches(x)); a ReLU behind it, but for the last unit of a network.

    Args:
        channels: of x.
        inside: of all branches together.
    """

    def __init__(
        self, channels: int, inside: int, scale: float, *branches: nn.Module, last: bool = False
    ) -> None:
        super().__init__()
        self.scale, self.last = scale, last
        self.split = Split(*branches)
        self.mix = nn.Conv2d(inside, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.scale * self.mix(self.split(x))
        return out if self.last else F.relu(out)


def _conv(
    inside: int, outside: int, kernel: Kernel, stride: int = 1, padding: Kernel = 0
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outside, eps=_EPS),
        nn.ReLU(),
    )


def _stem() -> tuple[nn.Module, ...]:
    """(N, 3, 160, 160) -> (N, 256, 17, 17)."""
    return (
        _conv(3, 32, 3, 2),
        _conv(32, 32, 3),
        _conv(32, 64, 3, padding=1),
        nn.MaxPool2d(3, 2),
        _conv(64, 80, 1),
        _conv(80, 192, 3),
        _conv(192, 256, 3, 2),
    )


def _unit35() -> Unit:
    one = nn.Sequential(_conv(256, 32, 1))
    two = nn.Sequential(_conv(256, 32, 1), _conv(32, 32, 3, padding=1))
    three = nn.Sequential(_conv(256, 32, 1), *(_conv(32, 32, 3, padding=1) for _ in range(2)))
    return Unit(256, 96, 0.17, one, two, three)


def _unit17() -> Unit:
    two = nn.Sequential(
        _conv(896, 128, 1),
        _conv(128, 128, (1, 7), padding=(0, 3)),
        _conv(128, 128, (7, 1), padding=(3, 0)),
    )
    return Unit(896, 256, 0.1, nn.Sequential(_conv(896, 128, 1)), two)


def _unit8(scale: float, *, last: bool = False) -> Unit:
    two = nn.Sequential(
        _conv(1792, 192, 1),
        _conv(192, 192, (1, 3), padding=(0, 1)),
        _conv(192, 192, (3, 1), padding=(1, 0)),
    )
    return Unit(1792, 384, scale, nn.Sequential(_conv(1792, 192, 1)), two, last=last)


def _reduction6() -> Split:
    two = nn.Sequential(_conv(256, 192, 1), _conv(192, 192, 3, padding=1), _conv(192, 256, 3, 2))
    return Split(nn.Sequential(_conv(256, 384, 3, 2)), two, nn.MaxPool2d(3, 2))


def _reduction7() -> Split:
    one = nn.Sequential(_conv(896, 256, 1), _conv(256, 384, 3, 2))
    two = nn.Sequential(_conv(896, 256, 1), _conv(256, 256, 3, 2))
    three = nn.Sequential(_conv(896, 256, 1), _conv(256, 256, 3, padding=1), _conv(256, 256, 3, 2))
    return Split(one, two, three, nn.MaxPool2d(3, 2))
