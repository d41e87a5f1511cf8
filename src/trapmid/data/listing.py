"""What every reader of a data set shares: entries and list files."""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

from torch import Tensor

_DIGITS = 18  # of an identity: such a number fits a tensor
_STRAY = ("Thumbs.db", "desktop.ini")


class DataError(ValueError):
    """The data are wrong; the message is one line that names the file and, if any, the line."""


class Entry(NamedTuple):
    """One image of a data set."""

    file: Path
    identity: int | None  # None: nobody knows who it is; every such image is a person of its own
    line: str  # where a list names it, e.g. "identity_CelebA.txt:12"; empty without a list


class Reader(Protocol):
    """Knows one on-disk layout: `trapmid.data.<name>.Reader`."""

    def entries(self, root: Path) -> list[Entry]:
        """All images under `root`, sorted by file.

        Raises:
            DataError: a file of the layout is missing or malformed.
        """
        ...

    def load(self, file: Path, size: int) -> Tensor:
        """The image (3, size, size) uint8, cropped as the data set's users crop it.

        Raises:
            DataError: the file is missing, corrupt or not of the layout's size.
        """
        ...


class Named(NamedTuple):
    """A line of a list file."""

    name: str
    identity: int
    line: str


def read_list(path: Path) -> list[Named]:
    """The lines `<file name> <identity>` of a list file; blank lines are skipped.

    A name may have folders in it, but leads to a file inside the folder of the pictures.

    Raises:
        DataError: the file is missing or empty, a line is malformed, a name comes twice.
    """
    named: list[Named] = []
    first: dict[str, int] = {}
    for number, text in enumerate(_lines(path), start=1):
        if not text.strip():
            continue
        try:
            name, identity = _parsed(text)
        except DataError as error:
            shown = text if len(text) <= 60 else f"{text[:60]}..."
            raise DataError(f"{path}:{number}: {error}, is {shown!r}") from None
        if name in first:
            raise DataError(f"{path}:{number}: {name} is on line {first[name]} already")
        first[name] = number
        named.append(Named(name, identity, f"{path.name}:{number}"))
    if not named:
        raise DataError(f"{path}: lists no image")
    return named


def check_regular(file: Path, what: str) -> None:
    """Refuses what is no regular file: to open a pipe would wait for ever.

    Raises:
        DataError: it is missing, out of reach, or something else than a file.
    """
    try:
        regular = stat.S_ISREG(file.stat().st_mode)
    except FileNotFoundError:
        raise DataError(f"{file}: no such {what}") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None
    if not regular:
        raise DataError(f"{file}: is no regular file, and only such are read")


def contents(folder: Path) -> list[Path]:
    """What is in a folder, sorted, without what systems leave there (.DS_Store, Thumbs.db).

    Raises:
        DataError: it is missing, no folder, or closed to this user.
    """
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read as a folder ({error.strerror})") from None
    return [one for one in found if not one.name.startswith(".") and one.name not in _STRAY]


def _lines(path: Path) -> list[str]:
    check_regular(path, "file; it lists '<file name> <identity>'")
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text file in UTF-8") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _parsed(text: str) -> tuple[str, int]:
    """Name and identity; an error says what a line must be."""
    words = text.split()
    if len(words) != 2 or not words[1].isascii() or not words[1].isdigit():
        raise DataError("must be '<file name> <identity>'")
    if len(words[1]) > _DIGITS:
        raise DataError(f"an identity must have {_DIGITS} digits at most")
    name = PurePosixPath(words[0])  # "./a.jpg" is a.jpg
    if name.is_absolute() or ".." in name.parts or not name.name or not words[0].isprintable():
        raise DataError("a name must lead to a file inside the folder of the pictures")
    return str(name), int(words[1])
