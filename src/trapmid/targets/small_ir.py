"""An IR network that a laptop trains in minutes: the CPU profile's target with skip connections."""

from __future__ import annotations

from trapmid.nets.irse import IrNetwork


class Network(IrNetwork):
    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(
            num_classes,
            image_size,
            units=(2, 2, 2),
            widths=(16, 32, 64),
            embedding_dim=128,
            dropout=0.2,
        )
