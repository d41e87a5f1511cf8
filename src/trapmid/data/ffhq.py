"""FFHQ's thumbnails on disk (Karras et al., CVPR 2019).

00000/00000.png ... 00000/00999.png, 01000/01000.png ...    128x128, folders of 1000
"""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from trapmid.data import listing, pictures
from trapmid.data.listing import DataError, Entry

SIZE = (128, 128)
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")  # another name would lose them in silence
_NAME = re.compile(r"[0-9]{1,9}\.png")
CROP = (20, 20, 108, 108)  # left, top, right, bottom: the centre 88x88 of the MI literature


class Reader(listing.Reader):
    """Reads FFHQ's thumbnails; every image is a person of its own."""

    def entries(self, root: Path) -> list[Entry]:
        """All images; one in a wrong folder is an error, for such a copy is not to be trusted."""
        files = [
            file
            for place in listing.contents(root)
            for file in (listing.contents(place) if place.is_dir() else [place])
            if file.suffix.lower() in _PICTURES
        ]
        if not files:
            raise DataError(f"{root}: no thumbnails; there must be 00000/00000.png and so on")
        for file in files:
            if not (_NAME.fullmatch(file.name) and file.parent.name == _thousand(file)):
                raise DataError(
                    f"{file}: must be in the folder of its thousand, as 01000/01234.png"
                )
        return [Entry(file, None, "") for file in files]

    def load(self, file: Path, size: int) -> Tensor:
        """The centre crop of 88 pixels (offset 20), resized to `size`."""
        return pictures.to_tensor(pictures.read_picture(file, "RGB", SIZE).crop(CROP), size)


def _thousand(file: Path) -> str:
    return f"{int(file.stem) // 1000:02d}000"
