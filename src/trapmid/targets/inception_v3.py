"""Inception-v3 (Szegedy et al., CVPR 2016), the evaluator of the high-resolution track.

It resizes images to 299 pixels. 23,834,568 parameters at 1,000 classes, without the auxiliary head
that the released code trains beside the network, with weight 1.
"""

from __future__ import annotations

from trapmid.nets.timm_network import TimmNetwork

SIDE = 299
_STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Pool1", "Conv2d_3b_1x1")
STAGES = (
    (*_STEM, "Conv2d_4a_3x3", "Pool2"),
    tuple(f"Mixed_5{letter}" for letter in "bcd"),
    tuple(f"Mixed_6{letter}" for letter in "abcde"),
    tuple(f"Mixed_7{letter}" for letter in "abc"),
)


class Network(TimmNetwork):
    side = SIDE  # what it resizes other images to
    timm_weights = ("inception_v3.tv_in1k",)

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(
            num_classes, image_size, "inception_v3", STAGES, side=SIDE, transform=True,
            aux_logits=False,
        )  # fmt: skip
