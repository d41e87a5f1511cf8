"""Three students of growing size that a laptop trains together: EfficientNet's place on a CPU."""

from __future__ import annotations

import itertools

from torch import nn

from trapmid.nets.ensemble import Ensemble, Member

SHAPES = (((8, 16, 32), 1), ((16, 32, 64), 1), ((16, 32, 64), 2))
"""Per member: channels of the three stages, and convolutions in each."""


class Network(Ensemble):
    def __init__(self, num_classes: int, image_size: int) -> None:
        if image_size < 16 or image_size % 8:
            raise ValueError(
                f"image_size: small_students need a multiple of 8 >= 16, not {image_size}"
            )
        members = [
            Member(_body(widths, depth), widths[-1] * (image_size // 8) ** 2, num_classes)
            for widths, depth in SHAPES
        ]
        super().__init__(members, num_classes)


def _body(widths: tuple[int, ...], depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inside, outside in itertools.pairwise((3, *widths)):
        for channels in (inside, *(outside,) * (depth - 1)):
            layers += [
                nn.Conv2d(channels, outside, 3, padding=1, bias=False),
                nn.BatchNorm2d(outside),
                nn.ReLU(),
            ]
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten())
