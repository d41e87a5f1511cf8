"""IR-50 on 112 pixels, the literature's evaluator; it enlarges smaller images by itself.

44,087,976 parameters at 1,000 classes. Published weights: MS-Celeb-1M's IR-50 of face.evoLVe, its
output layer included.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from trapmid.nets.irse import IR50, IrNetwork
from trapmid.types import Embedding

SIDE = 112


class Network(IrNetwork):
    side = SIDE  # what it enlarges smaller images to

    def __init__(self, num_classes: int, image_size: int) -> None:
        if not 16 <= image_size <= SIDE:
            raise ValueError(f"image_size: facenet112 needs 16 to {SIDE} pixels, not {image_size}")
        super().__init__(num_classes, SIDE, units=IR50)

    def embed(self, images: Tensor) -> Embedding:
        if images.shape[-1] != SIDE:  # as PLG-MI's evaluation resizes; the corners stay in place
            images = F.interpolate(images, (SIDE, SIDE), mode="bilinear", align_corners=True)
        return super().embed(images)
