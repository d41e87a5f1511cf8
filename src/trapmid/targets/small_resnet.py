"""A small residual network: the CPU profile's evaluator, of another family than its target.

He et al. (2016), with global average pooling, so that it sees textures and shapes differently from
`small_vgg`, whose head keeps positions.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from trapmid.types import Output, Target

WIDTHS = (32, 64, 128)


class Network(Target):
    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__()
        if image_size < 8:
            raise ValueError(f"image_size: small_resnet needs 8 or more, not {image_size}")
        self.num_classes = num_classes
        self.stem = nn.Sequential(
            nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU()
        )
        self.stages = nn.ModuleList(
            nn.Sequential(_Residual(inside, outside, stride=2), _Residual(outside, outside))
            for inside, outside in zip((WIDTHS[0], *WIDTHS), WIDTHS, strict=False)
        )
        self.norm = nn.BatchNorm1d(WIDTHS[-1])
        self.classifier = nn.Linear(WIDTHS[-1], num_classes)

    def forward(self, images: Tensor) -> Output:
        x, hidden = self.stem(images), []
        for stage in self.stages:
            x = stage(x)
            hidden.append(x.flatten(1))
        features = self.norm(x.mean(dim=(2, 3)))
        return Output(self.classifier(features), features, tuple(hidden))


class _Residual(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
            nn.Conv2d(outside, outside, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outside),
        )
        same = inside == outside and stride == 1
        self.shortcut: nn.Module = nn.Identity()
        if not same:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))
