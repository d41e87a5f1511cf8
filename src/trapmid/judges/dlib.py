"""dlib's face recogniser as a verifier of photographs, see `nets/dlib_resnet`."""

from __future__ import annotations

from torch import Tensor

from trapmid.nets import dlib_resnet
from trapmid.types import Verifier


class Judge(Verifier):
    """dlib's embeddings (N, 128) of aligned CelebA crops of any size.

    Raises:
        ValueError: on construction, if the extra `faces` is not installed.
    """

    brings_weights = True

    def __init__(self, image_size: int) -> None:
        super().__init__(image_size)
        self.recogniser = dlib_resnet.Recogniser()

    def forward(self, images: Tensor) -> Tensor:
        return self.recogniser(images)
