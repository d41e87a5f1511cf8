"""VGG's shape with room for photographs: wider and deeper than `small_vgg`, and with an embedding.

Between its last block and its classifier stand 128 numbers, as in networks for faces. Who starts
from another network of this class keeps them: a start that learnt what a recogniser says of faces
(`pretrained.*.teacher`) would lose them with a head that stands on the last block's map.
"""

from __future__ import annotations

from torch import Tensor, nn

from trapmid.nets.vgg import VggTrunk
from trapmid.types import Embedding, Output

_DIM = 128


class Network(VggTrunk):
    """Four blocks, half as wide again; an embedding; a linear head."""

    head = ("classifier",)

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__(num_classes, image_size, widths=(24, 48, 96, 192))
        self.embedding_dim = _DIM
        self.output = nn.Sequential(
            nn.Linear(self.map_width, _DIM, bias=False), nn.BatchNorm1d(_DIM)
        )
        self.classifier = nn.Linear(_DIM, num_classes)

    def embed(self, images: Tensor) -> Embedding:
        _, hidden = self.through_stages(images)
        return Embedding(self.output(hidden[-1]), hidden)

    def forward(self, images: Tensor) -> Output:
        vector, hidden = self.embed(images)
        return Output(self.classifier(vector), vector, hidden)
