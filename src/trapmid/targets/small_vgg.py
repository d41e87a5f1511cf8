"""VGG's shape at a size that a laptop trains in seconds: the CPU profile's target."""

from __future__ import annotations

from torch import Tensor, nn

from trapmid.types import Embedding, Output, Target

WIDTHS = (16, 32, 64)


class Network(Target):
    """Three blocks of two 3x3 convolutions and a pooling; the head of `vgg16`."""

    head = ("norm", "classifier")

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__()
        if image_size < 16 or image_size % 8:
            raise ValueError(f"image_size: small_vgg needs a multiple of 8 >= 16, not {image_size}")
        self.num_classes = num_classes
        self.blocks = nn.ModuleList(
            _block(inside, outside) for inside, outside in zip((3, *WIDTHS), WIDTHS, strict=False)
        )
        self.embedding_dim = width = WIDTHS[-1] * (image_size // 8) ** 2
        self.norm = nn.BatchNorm1d(width)
        self.norm.bias.requires_grad_(False)
        self.classifier = nn.Linear(width, num_classes)

    def stages(self) -> tuple[nn.Module, ...]:
        return tuple(self.blocks)

    def embed(self, images: Tensor) -> Embedding:
        _, hidden = self.through_stages(images)
        return Embedding(hidden[-1], hidden)

    def forward(self, images: Tensor) -> Output:
        vector, hidden = self.embed(images)
        features = self.norm(vector)
        return Output(self.classifier(features), features, (*hidden[:-1], features))


def _block(inside: int, outside: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inside, outside):
        layers += [
            nn.Conv2d(channels, outside, 3, padding=1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.MaxPool2d(2))
