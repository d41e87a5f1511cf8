"""Networks of timm as targets: images in [0, 1] come in, stages and a linear head are named.

timm's tags have input sizes and filters of their own, which nobody asks: the size is that of the
data, and images are scaled to [-1, 1], as the PPA paper trains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trapmid.types import Embedding, Output, Target

_HEADS = ("fc.", "classifier.")  # what timm calls the last layer


class TimmNetwork(Target):
    """`timm.create_model` without its head, and one linear layer.

    Args:
        name: of the network, as timm has it, without a tag.
        stages: names of children of the network, a list for each stage, shallow to deep.
        least: pixels a side that it needs.
        side: what it resizes images to first; None: it takes them as they are.
        transform: whether ImageNet's mean and deviation are taken for what images were scaled by.
    """

    head = ("classifier",)
    timm_weights: tuple[str, ...] = ()  # names with tags that `start_from` takes

    def __init__(
        self,
        num_classes: int,
        image_size: int,
        name: str,
        stages: Sequence[Sequence[str]],
        *,
        least: int = 32,
        side: int | None = None,
        transform: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        if image_size < least:
            arch = type(self).__module__.rpartition(".")[2]
            raise ValueError(f"image_size: {arch} needs {least} or more, not {image_size}")
        self.num_classes = num_classes
        self.input = Input(side, transform)
        self.network = _made(name, options)
        self.embedding_dim = int(self.network.num_features)
        self.classifier = nn.Linear(self.embedding_dim, num_classes)
        self._stages = stages

    def start_from(self, state: Mapping[str, Tensor]) -> None:
        """Takes the trunk of another such network, or timm's weights.

        As in the released PPA code, timm's last layer is taken, too, where it has as many classes.
        """
        if any(name.startswith("network.") for name in state):
            self.take_trunk(state)
            return
        named = self._of_timm(state)
        if len(named.get("classifier.weight", ())) == self.num_classes:
            self.load_state_dict(named, strict=True)
        else:
            self.take_trunk(named)

    def _of_timm(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """timm's names as this class has them; an auxiliary head is left out."""
        named = {k: v for k, v in self.state_dict().items() if k.startswith("input.")}
        for name, value in state.items():
            head = next((h for h in _HEADS if name.startswith(h)), None)
            if head is not None:
                named["classifier." + name.removeprefix(head)] = value
            elif not name.startswith("AuxLogits."):
                named[f"network.{name}"] = value
        return named

    def stages(self) -> tuple[nn.Module, ...]:
        """The first one begins at the image; they share their modules with `network`."""
        parts = [[self.network.get_submodule(name) for name in names] for names in self._stages]
        parts[0].insert(0, self.input)
        return tuple(nn.Sequential(*part) for part in parts)

    def embed(self, images: Tensor) -> Embedding:
        x, hidden = self.through_stages(images)
        return Embedding(x.mean(dim=(2, 3)), hidden)

    def forward(self, images: Tensor) -> Output:
        vector, hidden = self.embed(images)
        return Output(self.classifier(vector), vector, hidden)


class Input(nn.Module):
    """Images (N, 3, S, S) of [0, 1] resized, and scaled to [-1, 1].

    torchvision's `transform_input` then takes them for scaled by ImageNet's mean and deviation and
    scales them to what its Inception learnt from. Whether it does is kept with the weights.
    """

    transform: Tensor
    gain: Tensor
    shift: Tensor

    def __init__(self, side: int | None, transform: bool) -> None:
        super().__init__()
        self.side = side
        self.register_buffer("transform", torch.tensor(transform))
        mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        self.register_buffer("gain", (deviation / 0.5)[:, None, None], persistent=False)
        self.register_buffer("shift", ((mean - 0.5) / 0.5)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if self.side is not None and images.shape[-1] != self.side:
            size = (self.side, self.side)
            images = F.interpolate(
                images, size, mode="bilinear", align_corners=False, antialias=True
            )
        scaled = 2 * images - 1
        return torch.where(self.transform, scaled * self.gain + self.shift, scaled)


def _made(name: str, options: Mapping[str, Any]) -> Any:
    try:
        import timm
    except ImportError:
        raise ValueError(
            f"arch: {name}: timm is not installed; `pip install --editable '.[highres]'`"
        ) from None
    return timm.create_model(name, pretrained=False, num_classes=0, **options)
