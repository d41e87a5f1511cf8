"""VGG's shape at a size that a laptop trains in seconds: the CPU profile's target."""

from __future__ import annotations

from torch import Tensor, nn

from trapmid.nets.vgg import VggTrunk
from trapmid.types import Embedding, Output


class Network(VggTrunk):
    """Three blocks; the head of `vgg16`."""

    head = ("norm", "classifier")

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(num_classes, image_size, widths=(16, 32, 64))
        self.embedding_dim = self.map_width
        self.norm = nn.BatchNorm1d(self.map_width)
        self.norm.bias.requires_grad_(False)
        self.classifier = nn.Linear(self.map_width, num_classes)

    def embed(self, images: Tensor) -> Embedding:
        _, hidden = self.through_stages(images)
        return Embedding(hidden[-1], hidden)

    def forward(self, images: Tensor) -> Output:
        vector, hidden = self.embed(images)
        features = self.norm(vector)
        return Output(self.classifier(features), features, (*hidden[:-1], features))
