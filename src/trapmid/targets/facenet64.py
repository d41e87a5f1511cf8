"""IR-50 on 64-pixel images, the literature's "Face.evoLve" target.

35,437,224 parameters at 1,000 classes. Published weights: MS-Celeb-1M's IR-50 of face.evoLVe.
"""

from __future__ import annotations

from trapmid.nets.irse import IR50, IrNetwork


class Network(IrNetwork):
    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(num_classes, image_size, units=IR50)
