"""Labeled Faces in the Wild (Huang et al., 2007), as scikit-learn's `fetch_lfw_people` leaves it.

lfw_home/lfw_funneled/George_W_Bush/George_W_Bush_0001.jpg ...    250x250

13,233 pictures of 5,749 people, 62 of them with 20 or more. The folder is read itself:
scikit-learn's reader wants lists of pairs that nobody needs here, and misses what was added since.
"""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from trapmid.data import folders, listing, pictures
from trapmid.data.listing import DataError, Entry

HOME = "lfw_home"
FOLDERS = ("lfw_funneled", "lfw-deepfunneled", "lfw")
SIZE = (250, 250)
CROP = (62, 70, 187, 195)  # left, top, right, bottom: scikit-learn's rows, and as many columns
_NUMBER = re.compile(r"_[0-9]{4}\.jpg")


class Reader(listing.Reader):
    """Reads LFW's layout."""

    def entries(self, root: Path) -> list[Entry]:
        """All pictures; a person's number comes from the name, see `folders.number`."""
        people = folders.people(folder(root))
        for name, files in people.items():
            for file in files:
                if not (file.name.startswith(name) and _NUMBER.fullmatch(file.name[len(name) :])):
                    raise DataError(f"{file}: must be named {name}_0001.jpg and so on")
        return folders.entries(people)

    def load(self, file: Path, size: int) -> Tensor:
        """The square of 125 pixels about the face, resized to `size`."""
        return pictures.to_tensor(pictures.read_picture(file, "RGB", SIZE).crop(CROP), size)


def folder(root: Path) -> Path:
    """Where the people are: `root`, or in one of `FOLDERS`, perhaps below lfw_home, or nested once.

    Raises:
        DataError: nowhere there.
    """
    names = {one.name for one in listing.contents(root)}
    if any((root / name / f"{name}_0001.jpg").is_file() for name in names):
        return root
    if HOME in names and not names & {*FOLDERS}:
        root = root / HOME
        names = {one.name for one in listing.contents(root)}
    name = next((name for name in FOLDERS if name in names), None)
    if name is None:
        raise DataError(
            f"{root}: no folder {' or '.join(FOLDERS)}, and no person's NAME/NAME_0001.jpg"
        )
    inside = {one.name for one in listing.contents(root / name)}
    return root / name / name if name in inside else root / name
