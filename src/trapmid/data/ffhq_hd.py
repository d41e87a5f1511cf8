"""FFHQ's pictures of 256 pixels and more (Karras et al., CVPR 2019), for faces of 224 pixels.

00000/00000.png ... 00000/00999.png, 01000/01000.png ...    as the thumbnails, folders of 1000
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from trapmid.data import ffhq, pictures
from trapmid.data.listing import DataError

SHARE = 0.78125  # of a side: 800 of 1,024 pixels, as Plug & Play Attacks crops what StyleGAN2 makes


class Reader(ffhq.Reader):
    """Reads larger FFHQ pictures; every one is a person of its own."""

    def load(self, file: Path, size: int) -> Tensor:
        """The middle of the picture, `SHARE` of a side, resized to `size`.

        Raises:
            DataError: the picture is not square, or too small to be cut and not enlarged.
        """
        picture = pictures.read_picture(file, "RGB", None)
        side, height = picture.size
        kept = round(SHARE * side)
        if side != height or kept < size:
            least = -(-size * 32 // 25)  # SHARE is 25 of 32
            raise DataError(
                f"{file}: is {side}x{height}, must be square and have {least} pixels a side"
            )
        edge = (side - kept) // 2
        box = (edge, edge, edge + kept, edge + kept)
        return pictures.to_tensor(picture.crop(box), size)
