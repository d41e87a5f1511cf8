"""CelebA's aligned images on disk (Liu et al., ICCV 2015).

img_align_celeba/000001.jpg ...    178x218 (or img_align_celeba_png/000001.png); Kaggle's copy has a
                                   second img_align_celeba inside the first
identity_CelebA.txt                lines "000001.jpg 2880", or a CSV; with or without a header

Both stand in the folder itself, in its folders Img and Anno (the authors' drive), or in its folder
celeba (torchvision).
"""

from __future__ import annotations

import os
from pathlib import Path

from torch import Tensor

from trapmid.data import listing, pictures
from trapmid.data.listing import DataError, Entry

LIST = "identity_CelebA"
FOLDERS = ("img_align_celeba", "img_align_celeba_png")
SIZE = (178, 218)  # width, height
CROP = (35, 55, 143, 163)  # left, top, right, bottom: the centre 108x108 of the MI literature
_INSIDE = "celeba"  # torchvision's folder
_DRIVE = ("Img", "Anno")
_TEXTS = (".txt", ".csv")


class Reader(listing.Reader):
    """Reads CelebA's layout."""

    def entries(self, root: Path) -> list[Entry]:
        """All listed images; a list of .jpg names also fits a folder of .png files."""
        folder = find_images(root)
        named = listing.read_list(find_list(root, LIST))
        return sorted(
            Entry(file_of(folder, name), identity, line) for name, identity, line in named
        )

    def load(self, file: Path, size: int) -> Tensor:
        """The centre crop of 108 pixels (rows 55..162, columns 35..142), resized to `size`."""
        return pictures.to_tensor(pictures.read_picture(file, "RGB", SIZE).crop(CROP), size)


def file_of(folder: Path, name: str) -> Path:
    """The file that a list calls `name`: lists of .jpg names also fit a folder of .png files."""
    return (folder / name).with_suffix(".png") if folder.name == FOLDERS[1] else folder / name


def find_list(root: Path, stem: str) -> Path:
    """The list `stem`.txt or .csv of a CelebA folder, text before CSV; if none: where it should be.

    Raises:
        DataError: `root` is no folder.
    """
    places = [place / f"{stem}{end}" for place in _places(root) for end in _TEXTS]
    return next(filter(os.path.lexists, places), root / f"{stem}{_TEXTS[0]}")


def find_images(root: Path) -> Path:
    """The folder that holds the pictures themselves.

    Raises:
        DataError: `root` is no folder, or has none of that name.
    """
    found = [place / name for name in FOLDERS for place in _places(root)]
    folder = next(filter(os.path.lexists, found), None)
    if folder is None:
        raise DataError(f"{root}: no folder {' or '.join(FOLDERS)}")
    inside = [one.name for one in listing.contents(folder)]
    return folder / folder.name if folder.name in inside else folder


def _places(root: Path) -> list[Path]:
    """Where lists and folders may stand."""
    listing.contents(root)  # a closed or missing folder is named here
    homes = (root, root / _INSIDE)
    return [*homes, *(home / name for home in homes for name in _DRIVE)]
