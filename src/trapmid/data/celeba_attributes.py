"""CelebA's 40 attributes of each image (Liu et al., ICCV 2015), read as a table.

list_attr_celeba.txt    line 1 "202599", line 2 the names, then "000001.jpg -1 1 1 -1 ..."
list_attr_celeba.csv    Kaggle's: line 1 "image_id,5_o_Clock_Shadow,...", then "000001.jpg,-1,1,..."
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from trapmid.data import celeba, listing
from trapmid.data.listing import DataError, Line

LIST = "list_attr_celeba"
_VALUES = {"1": True, "-1": False}


class Attributes(NamedTuple):
    """Who or what an image shows, as yes or no."""

    names: tuple[str, ...]  # "Smiling", ...
    of: dict[str, tuple[bool, ...]]  # per file name as the list has it, in the order of `names`


def attributes(root: Path) -> Attributes:
    """The list of attributes of a CelebA folder; it stands where the list of identities does.

    Names end as in the list, mostly in .jpg, also where the folder holds .png files.

    Raises:
        DataError: the list is missing, cut off or malformed.
    """
    path = celeba.find_list(root, LIST)
    lines = listing.read_lines(path, "'<file name> <1 or -1> ...'")
    names, announced = _head(path, lines)
    of: dict[str, tuple[bool, ...]] = {}
    for line in lines:
        try:
            name, values = _parsed(line.words, len(names))
            if name in of:
                raise DataError(f"{name} is there already")
        except DataError as error:
            raise DataError(f"{path}:{line.number}: {error}") from None
        of[name] = values
    if announced not in (None, len(of)) or not of:
        raise DataError(f"{path}: has {len(of)} images, its first line says {announced}")
    return Attributes(names, of)


def _head(path: Path, lines: Iterator[Line]) -> tuple[tuple[str, ...], int | None]:
    """The names, and how many images the list says it has; None: it does not say."""
    empty = Line(0, "", [])
    first = next(lines, empty)
    is_count = len(first.words) == 1 and first.text.strip().isdecimal()
    names = next(lines, empty).words if is_count else first.words[1:]  # a CSV names its key, too
    if not names or len(set(names)) < len(names):
        raise DataError(f"{path}: must begin with the names of the attributes, each once")
    return tuple(names), int(first.text) if is_count else None


def _parsed(words: list[str], count: int) -> tuple[str, tuple[bool, ...]]:
    if len(words) != count + 1 or not _VALUES.keys() >= set(words[1:]):
        raise DataError(f"must be a file name and {count} times 1 or -1")
    return listing.file_name(words[0]), tuple(_VALUES[word] for word in words[1:])
