"""VGG's shape between `small_vgg` and `vgg16`: a laptop's target on photographs.

Aligned faces are told apart by what lies where, so the head keeps positions; a few dozen images a
person need the dropout in front of it.
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from trapmid.types import Embedding, Output, Target

WIDTHS = (32, 64, 128)
DROPOUT = 0.5


class Network(Target):
    """Three blocks of two 3x3 convolutions and a pooling; batch norm, dropout, a linear head."""

    head = ("norm", "classifier")

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__()
        if image_size < 16 or image_size % 8:
            raise ValueError(f"image_size: mid_vgg needs a multiple of 8 >= 16, not {image_size}")
        self.num_classes = num_classes
        self.blocks = nn.ModuleList(_block(*pair) for pair in itertools.pairwise((3, *WIDTHS)))
        self.embedding_dim = width = WIDTHS[-1] * (image_size // 8) ** 2
        self.norm = nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(DROPOUT)
        self.classifier = nn.Linear(width, num_classes)

    def stages(self) -> tuple[nn.Module, ...]:
        return tuple(self.blocks)

    def embed(self, images: Tensor) -> Embedding:
        _, hidden = self.through_stages(images)
        return Embedding(hidden[-1], hidden)

    def forward(self, images: Tensor) -> Output:
        vector, hidden = self.embed(images)
        features = self.norm(vector)
        return Output(self.classifier(self.dropout(features)), features, hidden)


def _block(inside: int, outside: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inside, outside):
        layers += [
            nn.Conv2d(channels, outside, 3, padding=1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.MaxPool2d(2))
