"""LOMMA's students: EfficientNet-B0, B1 and B2 (Tan and Le, ICML 2019) as one ensemble.

torchvision's networks with a linear classifier on the pooled features, as in Nguyen et al. (CVPR
2023); the dropout in front of torchvision's own classifier is gone. Images are not normalised.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from torch import Tensor, nn
from torchvision.models import efficientnet_b0, efficientnet_b1, efficientnet_b2

from trapmid.nets.ensemble import Ensemble, Member

MEMBERS = ((efficientnet_b0, 1280), (efficientnet_b1, 1280), (efficientnet_b2, 1408))


class Network(Ensemble):
    torchvision_weights = (
        "EfficientNet_B0_Weights.IMAGENET1K_V1",
        "EfficientNet_B1_Weights.IMAGENET1K_V1",
        "EfficientNet_B2_Weights.IMAGENET1K_V1",
    )

    def __init__(self, num_classes: int, image_size: int) -> None:
        if image_size < 32:
            raise ValueError(f"image_size: efficientnets need 32 or more, not {image_size}")
        members = [Member(_body(make()), width, num_classes) for make, width in MEMBERS]
        super().__init__(members, num_classes)

    def start_from(self, state: Mapping[str, Tensor]) -> None:
        """Takes another ensemble, or torchvision's three networks."""
        if not any(name.startswith("members.") for name in state):
            state = {
                name.replace(".features.", ".features.blocks.", 1): value
                for name, value in state.items()
                if ".classifier." not in name
            }
        super().start_from(state)


def _body(network: nn.Module) -> nn.Sequential:
    parts = (("blocks", network.features), ("pool", network.avgpool), ("flat", nn.Flatten()))
    return nn.Sequential(OrderedDict(parts))  # type: ignore[arg-type]
