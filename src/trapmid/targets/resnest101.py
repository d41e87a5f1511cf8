"""ResNeSt-101 (Zhang et al., 2020), a target of the high-resolution track.

48,275,016 parameters at 1,000 classes: the network with the deep stem, timm's `resnest101e`.
"""

from __future__ import annotations

from trapmid.nets.timm_network import TimmNetwork

STAGES = (("conv1", "bn1", "act1", "maxpool", "layer1"), ("layer2",), ("layer3",), ("layer4",))


class Network(TimmNetwork):
    timm_weights = ("resnest101e.in1k",)

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(num_classes, image_size, "resnest101e", STAGES)
