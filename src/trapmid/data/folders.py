"""What readers of folders of pictures share: which files are pictures, whose they are, the crop."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from trapmid.data import listing, pictures
from trapmid.data.listing import DataError, Entry

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
OTHERS = (
    ".heic", ".heif", ".avif", ".jxl", ".jfif", ".jpe", ".pjpeg", ".jp2", ".gif", ".apng", ".tga",
    ".ppm", ".pgm", ".psd", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".orf",
    ".raf", ".rw2", ".pef", ".srw", ".hif",
)  # fmt: skip
"""Endings of pictures that nobody reads here: passed over, a person would lose photographs."""
_NUMBERS = 10**12  # of 5,749 names two have one number with a probability of 0.00002


def people(root: Path) -> dict[str, list[Path]]:
    """Per folder in `root`, by its name, the pictures in it; both sorted.

    Raises:
        DataError: a picture or a folder of pictures would be passed over, or there is none.
    """
    inside = _seen(root)
    for file in inside:
        if file.suffix.lower() in PICTURES and not file.is_dir():
            raise DataError(f"{file}: must be in a folder of the person whom it shows")
    found = {folder.name: flat(folder) for folder in inside if folder.is_dir()}
    if not found:
        raise DataError(f"{root}: has no folders, there must be one per person")
    return found


def flat(folder: Path) -> list[Path]:
    """The pictures in a folder, sorted; files that are none are passed over.

    Raises:
        DataError: it has a folder in it, a picture of a kind that is not read, or no picture.
    """
    inside = _seen(folder)
    for place in inside:
        if place.is_dir():
            raise DataError(f"{place}: is a folder, and only pictures are read here")
    found = [file for file in inside if file.suffix.lower() in PICTURES]
    if not found:
        raise DataError(f"{folder}: has no picture ({', '.join(PICTURES)})")
    return found


def _seen(folder: Path) -> list[Path]:
    """What is in a folder, without anything that would be passed over and may show somebody.

    Raises:
        DataError: a link leads nowhere, a picture has an ending that is not read, or a name is no
            text in UTF-8.
    """
    inside = listing.contents(folder)
    for place in inside:
        try:
            place.name.encode()
        except UnicodeEncodeError:
            raise DataError(f"{str(place)!a}: the name is no text in UTF-8; rename it") from None
        if place.is_symlink() and not place.exists():
            raise DataError(f"{place}: is a link that leads nowhere, or back to itself")
        if place.suffix.lower() in OTHERS and not place.is_dir():
            raise DataError(
                f"{place}: is not read, only {', '.join(PICTURES)} are; convert it, or take it away"
            )
    return inside


def entries(people: Mapping[str, Sequence[Path]]) -> list[Entry]:
    """The pictures of people, each with its person's number.

    Raises:
        DataError: two names have one number.
    """
    names: dict[int, str] = {}
    for name in people:
        if (other := names.setdefault(number(name), name)) != name:
            raise DataError(f"{name} and {other} have the same number; rename one of the folders")
    return sorted(Entry(file, number(name), "") for name in people for file in people[name])


def number(name: str) -> int:
    """The number of a person, from the name alone: a new person changes nobody else's.

    An accent may be a character of its own, as macOS writes names; the name is the same.
    """
    composed = unicodedata.normalize("NFC", name)
    return int(hashlib.sha256(composed.encode()).hexdigest(), 16) % _NUMBERS


def load_square(file: Path, size: int) -> Tensor:
    """The largest square in the middle, (3, size, size), made smaller but never larger.

    Raises:
        DataError: the picture cannot be read, or a side has less than `size` pixels.
    """
    picture = pictures.read_picture(file, "RGB", None)
    if min(picture.size) < size:
        width, height = picture.size
        raise DataError(f"{file}: is {width}x{height}, must be at least {size}x{size}")
    return pictures.to_tensor(_square(picture), size)


def _square(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return picture.crop((left, top, left + side, top + side))
