"""CelebA's aligned images on disk (Liu et al., ICCV 2015).

img_align_celeba/000001.jpg ...    178x218 (or img_align_celeba_png/000001.png)
identity_CelebA.txt                lines "000001.jpg 2880"
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from trapmid.data import listing
from trapmid.data.listing import DataError, Entry

LIST = "identity_CelebA.txt"
FOLDERS = ("img_align_celeba", "img_align_celeba_png")
SIZE = (178, 218)  # width, height
CROP = (35, 55, 143, 163)  # left, top, right, bottom: the centre 108x108 of the MI literature


class Reader(listing.Reader):
    """Reads CelebA's layout."""

    def entries(self, root: Path) -> list[Entry]:
        """All listed images; a list of .jpg names also fits a folder of .png files."""
        folder = next((root / name for name in FOLDERS if (root / name).is_dir()), None)
        if folder is None:
            raise DataError(f"{root}: no folder {' or '.join(FOLDERS)}")
        named = listing.read_list(root / LIST)
        only_png = folder.name == "img_align_celeba_png"
        return sorted(
            Entry(
                (folder / name).with_suffix(".png") if only_png else folder / name, identity, line
            )
            for name, identity, line in named
        )

    def load(self, file: Path, size: int) -> Tensor:
        """The centre crop of 108 pixels (rows 55..162, columns 35..142), resized to `size`."""
        return listing.to_tensor(listing.read_picture(file, "RGB", SIZE).crop(CROP), size)
