"""Faces of strangers in one folder: *.jpg (or .png, ...), of any size; public images only."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from trapmid.data import folders, listing
from trapmid.data.listing import Entry


class Reader(listing.Reader):
    """Reads a folder of pictures; nobody knows who they are."""

    def entries(self, root: Path) -> list[Entry]:
        """All pictures, without identities."""
        return [Entry(file, None, "") for file in folders.flat(root)]

    def load(self, file: Path, size: int) -> Tensor:
        """The largest square in the middle, see `folders.load_square`."""
        return folders.load_square(file, size)
