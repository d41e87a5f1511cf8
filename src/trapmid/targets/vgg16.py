"""VGG16 with batch normalisation, the paper's main target (Simonyan and Zisserman, 2015).

torchvision's convolutions, then the head of the MI literature: flatten, BatchNorm1d whose bias is
frozen at zero, one linear layer. 16,776,232 parameters at 64 pixels and 1,000 classes.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torchvision.models import vgg16_bn

from trapmid.types import Embedding, Output, Target


class Network(Target):
    head = ("norm", "classifier")
    torchvision_weights = ("VGG16_BN_Weights.IMAGENET1K_V1",)

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__()
        if image_size < 32:
            raise ValueError(f"image_size: vgg16 needs 32 pixels or more, not {image_size}")
        self.num_classes = num_classes
        self.features = vgg16_bn(weights=None).features
        self.embedding_dim = width = 512 * (image_size // 32) ** 2
        self.norm = nn.BatchNorm1d(width)
        self.norm.bias.requires_grad_(False)
        self.classifier = nn.Linear(width, num_classes)

    def start_from(self, state: Mapping[str, Tensor]) -> None:
        """Takes the convolutions of torchvision's ImageNet weights, or of another such network."""
        prefix = "features."
        trunk = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        self.features.load_state_dict(trunk, strict=True)

    def stages(self) -> tuple[nn.Module, ...]:
        """The five blocks, each up to its pooling; they share their modules with `features`."""
        ends = [i for i, layer in enumerate(self.features, 1) if isinstance(layer, nn.MaxPool2d)]
        starts = [0, *ends[:-1]]
        return tuple(self.features[i:j] for i, j in zip(starts, ends, strict=True))

    def embed(self, images: Tensor) -> Embedding:
        _, hidden = self.through_stages(images)
        return Embedding(hidden[-1], hidden)

    def forward(self, images: Tensor) -> Output:
        vector, hidden = self.embed(images)
        features = self.norm(vector)
        return Output(self.classifier(features), features, (*hidden[:-1], features))
