"""ResNet-152 (He et al., CVPR 2016), a target of the high-resolution track.

60,192,808 parameters at 1,000 classes. The published rows began with torchvision's first weights
until October 2023 and with its second ones from then on: so the start names which.
"""

from __future__ import annotations

from trapmid.nets.timm_network import TimmNetwork

STAGES = (("conv1", "bn1", "act1", "maxpool", "layer1"), ("layer2",), ("layer3",), ("layer4",))


class Network(TimmNetwork):
    timm_weights = ("resnet152.tv_in1k", "resnet152.tv2_in1k")

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(num_classes, image_size, "resnet152", STAGES)
