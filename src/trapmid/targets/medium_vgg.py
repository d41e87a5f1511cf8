"""VGG's shape with room for photographs: half as wide again as `small_vgg`, a block deeper."""

from __future__ import annotations

from trapmid.nets.vgg import VggNetwork


class Network(VggNetwork):
    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(num_classes, image_size, widths=(24, 48, 96, 192))
