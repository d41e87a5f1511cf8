"""IR-152 on 64-pixel images, the paper's "ResNet-152" target (table 13).

62,599,848 parameters at 1,000 classes. Published weights: MS-Celeb-1M's IR-152 of face.evoLVe.
"""

from __future__ import annotations

from trapmid.nets.irse import IR152, IrNetwork


class Network(IrNetwork):
    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(num_classes, image_size, units=IR152)
