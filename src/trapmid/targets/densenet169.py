"""DenseNet-169 (Huang et al., CVPR 2017), a target of the high-resolution track.

14,149,480 parameters at 1,000 classes.
"""

from __future__ import annotations

from trapmid.nets.timm_network import TimmNetwork

_FIRST = ("conv0", "norm0", "pool0", "denseblock1", "transition1")
_REST = (("denseblock2", "transition2"), ("denseblock3", "transition3"), ("denseblock4", "norm5"))
STAGES = tuple(tuple(f"features.{name}" for name in stage) for stage in (_FIRST, *_REST))


class Network(TimmNetwork):
    timm_weights = ("densenet169.tv_in1k",)

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(num_classes, image_size, "densenet169", STAGES)
