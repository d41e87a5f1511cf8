"""VGG's shape at sizes that a laptop trains (Simonyan and Zisserman, ICLR 2015)."""

from __future__ import annotations

from torch import nn

from trapmid.types import Target


class VggTrunk(Target):
    """Blocks of two 3x3 convolutions and a pooling; a head is the subclass's.

    Args:
        widths: channels of every block; each halves the map.

    Raises:
        ValueError: the image size cannot be halved so often, or would leave less than two pixels.
    """

    def __init__(self, num_classes: int, image_size: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        share = 2 ** len(widths)
        if image_size < 2 * share or image_size % share:
            name = type(self).__module__.rpartition(".")[2]
            raise ValueError(
                f"image_size: {name} needs a multiple of {share} >= {2 * share}, not {image_size}"
            )
        self.num_classes = num_classes
        self.blocks = nn.ModuleList(
            _block(inside, outside) for inside, outside in zip((3, *widths), widths, strict=False)
        )
        self.map_width: int = widths[-1] * (image_size // share) ** 2
        """Numbers of the last block's map."""

    def stages(self) -> tuple[nn.Module, ...]:
        return tuple(self.blocks)


def _block(inside: int, outside: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inside, outside):
        layers += [
            nn.Conv2d(channels, outside, 3, padding=1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.MaxPool2d(2))
