"""VGG's shape at sizes that a laptop trains (Simonyan and Zisserman, ICLR 2015)."""

from __future__ import annotations

from torch import Tensor, nn

from trapmid.types import Embedding, Output, Target


class VggNetwork(Target):
    """Blocks of two 3x3 convolutions and a pooling; the head of `vgg16`.

    Args:
        widths: channels of every block; each halves the map.
        embedding: numbers to which a linear layer reduces the last map before the head; None: the
            head stands on the map.

    Raises:
        ValueError: the image size cannot be halved so often, or would leave less than two pixels.
    """

    head = ("norm", "classifier")

    def __init__(
        self,
        num_classes: int,
        image_size: int,
        widths: tuple[int, ...],
        embedding: int | None = None,
    ) -> None:
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
        width = widths[-1] * (image_size // share) ** 2
        reduced = nn.Identity() if embedding is None else nn.Linear(width, embedding, bias=False)
        self.reduced, self.embedding_dim = reduced, embedding or width
        self.norm = nn.BatchNorm1d(self.embedding_dim)
        self.norm.bias.requires_grad_(False)
        self.classifier = nn.Linear(self.embedding_dim, num_classes)

    def stages(self) -> tuple[nn.Module, ...]:
        return tuple(self.blocks)

    def embed(self, images: Tensor) -> Embedding:
        _, hidden = self.through_stages(images)
        return Embedding(self.reduced(hidden[-1]), hidden)

    def forward(self, images: Tensor) -> Output:
        vector, hidden = self.embed(images)
        features = self.norm(vector)
        return Output(self.classifier(features), features, (*hidden[:-1], features))


def _block(inside: int, outside: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inside, outside):
        layers += [
            nn.Conv2d(channels, outside, 3, padding=1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.MaxPool2d(2))
