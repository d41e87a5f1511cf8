"""A small residual network: the CPU profile's evaluator, of another family than its target.

He et al. (2016), with global average pooling, so that it sees textures and shapes differently from
`small_vgg`, whose head keeps positions.
"""

from __future__ import annotations

from torch import Tensor, nn

from trapmid.nets.residual import Residual
from trapmid.types import Embedding, Output, Target

WIDTHS = (32, 64, 128)


class Network(Target):
    head = ("norm", "classifier")

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__()
        if image_size < 8:
            raise ValueError(f"image_size: small_resnet needs 8 or more, not {image_size}")
        self.num_classes, self.embedding_dim = num_classes, WIDTHS[-1]
        self.stem = nn.Sequential(
            nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU()
        )
        self.body = nn.ModuleList(
            nn.Sequential(*_unit(inside, outside, stride=2), *_unit(outside, outside, stride=1))
            for inside, outside in zip((WIDTHS[0], *WIDTHS), WIDTHS, strict=False)
        )
        self.norm = nn.BatchNorm1d(WIDTHS[-1])
        self.classifier = nn.Linear(WIDTHS[-1], num_classes)

    def stages(self) -> tuple[nn.Module, ...]:
        """The first one begins at the image: it holds the stem, too."""
        first, *rest = self.body
        return nn.Sequential(self.stem, first), *rest

    def embed(self, images: Tensor) -> Embedding:
        x, hidden = self.through_stages(images)
        return Embedding(x.mean(dim=(2, 3)), hidden)

    def forward(self, images: Tensor) -> Output:
        vector, hidden = self.embed(images)
        features = self.norm(vector)
        return Output(self.classifier(features), features, hidden)


def _unit(inside: int, outside: int, stride: int) -> tuple[nn.Module, nn.Module]:
    body = nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
        nn.Conv2d(outside, outside, 3, 1, 1, bias=False),
        nn.BatchNorm2d(outside),
    )
    shortcut: nn.Module = nn.Identity()
    if inside != outside or stride != 1:
        shortcut = nn.Sequential(
            nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
        )
    return Residual(body, shortcut), nn.ReLU()
