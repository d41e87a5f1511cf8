"""Anyone's faces, a folder per person: NAME/*.jpg (or .png, ...), of any size.

The pictures must show faces that are cut alike; nothing is detected or aligned here.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from trapmid.data import folders, listing
from trapmid.data.listing import Entry


class Reader(listing.Reader):
    """Reads a folder of folders; whose picture it is says the name of its folder."""

    def entries(self, root: Path) -> list[Entry]:
        """All pictures; a person's number comes from the folder's name, see `folders.number`."""
        return folders.entries(folders.people(root))

    def load(self, file: Path, size: int) -> Tensor:
        """The largest square in the middle, see `folders.load_square`."""
        return folders.load_square(file, size)
