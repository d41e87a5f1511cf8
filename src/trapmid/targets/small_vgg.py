"""VGG's shape at a size that a laptop trains in seconds: the CPU profile's target."""

from __future__ import annotations

from trapmid.nets.vgg import VggNetwork


class Network(VggNetwork):
    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(num_classes, image_size, widths=(16, 32, 64))
