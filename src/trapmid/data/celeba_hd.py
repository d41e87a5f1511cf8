"""CelebA's faces cut out of the original photographs (HD-CelebA-Cropper, face factor 0.65).

images/000001.jpg ...        or .png; square or not, no side under the size that is asked for
identity_CelebA.txt          as CelebA's: lines "000001.jpg 2880", or a CSV

Plug & Play Attacks' targets learn from such crops (Struppek et al., ICML 2022). The aligned images
of 178x218 pixels, which `celeba` reads, show too little of a face and too few pixels of it.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from trapmid.data import celeba, folders, listing, pictures
from trapmid.data.listing import DataError, Entry

FOLDER = "images"


class Reader(listing.Reader):
    """Reads the crops."""

    def entries(self, root: Path) -> list[Entry]:
        """All listed pictures that are there as .jpg or, else, as .png.

        Raises:
            DataError: the folder or the list is missing, or a picture that is listed.
        """
        folder = root / FOLDER
        there = {one.name for one in listing.contents(folder)}
        named = listing.read_list(celeba.find_list(root, celeba.LIST))
        entries = []
        for name, identity, line in named:
            found = next((n for n in (name, f"{Path(name).stem}.png") if n in there), None)
            if found is None:
                raise DataError(f"{line}: no {name} and no {Path(name).stem}.png in {folder}")
            entries.append(Entry(folder / found, identity, line))
        return sorted(entries)

    def load(self, file: Path, size: int) -> Tensor:
        """The largest square in the middle, see `folders.load_square`.

        Raises:
            DataError: as there; or it is one of the aligned pictures.
        """
        if pictures.measure(file) == celeba.SIZE:
            raise DataError(
                f"{file}: is 178x218, of the aligned set; this reader needs crops of the original "
                "photographs with face factor 0.65 (docs/celeba.md)"
            )
        return folders.load_square(file, size)
