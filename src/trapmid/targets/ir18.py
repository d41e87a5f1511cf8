"""ResNet-18, which the official code trains on MNIST (He et al., CVPR 2016).

torchvision's network and its ImageNet weights; 11,179,077 parameters at 5 classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

from trapmid.types import Embedding, Output, Target


class Network(Target):
    head = ("classifier",)
    torchvision_weights = ("ResNet18_Weights.IMAGENET1K_V1",)

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__()
        if image_size < 16:
            raise ValueError(f"image_size: ir18 needs 16 pixels or more, not {image_size}")
        self.num_classes, self.embedding_dim = num_classes, 512
        self.trunk = ResNet(_Block, [2, 2, 2, 2])
        self.trunk.fc = nn.Identity()
        self.classifier = nn.Linear(512, num_classes)

    def start_from(self, state: Mapping[str, Tensor]) -> None:
        """Takes torchvision's ImageNet weights but their head, or another network of this class."""
        if "conv1.weight" in state:
            state = {f"trunk.{k}": v for k, v in state.items() if not k.startswith("fc.")}
        self.take_trunk(state)

    def stages(self) -> tuple[nn.Module, ...]:
        """The first one begins at the image: it holds the stem, too."""
        trunk = self.trunk
        first = nn.Sequential(trunk.conv1, trunk.bn1, trunk.relu, trunk.maxpool, trunk.layer1)
        return first, trunk.layer2, trunk.layer3, trunk.layer4

    def embed(self, images: Tensor) -> Embedding:
        x, hidden = self.through_stages(images)
        return Embedding(self.trunk.avgpool(x).flatten(1), hidden)

    def forward(self, images: Tensor) -> Output:
        vector, hidden = self.embed(images)
        return Output(self.classifier(vector), vector, hidden)


class _Block(BasicBlock):  # type: ignore[misc]
    """torchvision's block, whose skip connection can be weakened (see `nets.residual`)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.skip_scale = 1.0

    def weaken(self, scale: float) -> None:
        self.skip_scale = scale
        if scale == 0:
            self.downsample = None

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        if self.skip_scale != 0:
            skip = x if self.downsample is None else self.downsample(x)
            out = out + (skip if self.skip_scale == 1 else self.skip_scale * skip)
        return F.relu(out)
