"""VGG's shape with room for photographs: wider and deeper than `small_vgg`, and with an embedding.

Between its last block and its classifier stand 128 numbers, as in networks for faces. Who starts
from another network of this class keeps them: a start that learnt what a recogniser says of faces
(`pretrained.*.teacher`) would lose them with a head that stands on the last block's map.
"""

from __future__ import annotations

from trapmid.nets.vgg import VggNetwork


class Network(VggNetwork):
    head = ("classifier",)

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(num_classes, image_size, widths=(24, 48, 96, 192), embedding=128)
