"""CelebA's aligned images on disk (Liu et al., ICCV 2015).

img_align_celeba/000001.jpg ...    178x218 (or img_align_celeba_png/000001.png); Kaggle's copy has a
                                   second img_align_celeba inside the first
identity_CelebA.txt                lines "000001.jpg 2880"
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from trapmid.data import listing, pictures
from trapmid.data.listing import DataError, Entry

LIST = "identity_CelebA.txt"
FOLDERS = ("img_align_celeba", "img_align_celeba_png")
SIZE = (178, 218)  # width, height
CROP = (35, 55, 143, 163)  # left, top, right, bottom: the centre 108x108 of the MI literature


class Reader(listing.Reader):
    """Reads CelebA's layout."""

    def entries(self, root: Path) -> list[Entry]:
        """All listed images; a list of .jpg names also fits a folder of .png files."""
        found = [one.name for one in listing.contents(root) if one.name in FOLDERS]
        if not found:
            raise DataError(f"{root}: no folder {' or '.join(FOLDERS)}")
        folder = _innermost(root / min(found))
        named = listing.read_list(root / LIST)
        only_png = folder.name == FOLDERS[1]
        return sorted(
            Entry(
                (folder / name).with_suffix(".png") if only_png else folder / name, identity, line
            )
            for name, identity, line in named
        )

    def load(self, file: Path, size: int) -> Tensor:
        """The centre crop of 108 pixels (rows 55..162, columns 35..142), resized to `size`."""
        return pictures.to_tensor(pictures.read_picture(file, "RGB", SIZE).crop(CROP), size)


def _innermost(folder: Path) -> Path:
    """The folder, or one of its own name inside it."""
    inside = [one.name for one in listing.contents(folder)]
    return folder / folder.name if folder.name in inside else folder
