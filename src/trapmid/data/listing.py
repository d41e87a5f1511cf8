"""What every reader of a data set shares: entries and list files."""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Iterator
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


class Line(NamedTuple):
    """A line of a text file that is not blank."""

    number: int  # from 1
    text: str
    words: list[str]


def read_lines(path: Path, what: str) -> Iterator[Line]:
    """The lines of a table: cells parted by commas if its first line has one, else by spaces.

    A byte order mark is passed over, and so are blank lines. Lines end as on any system.

    Args:
        path: the file.
        what: what it lists, for the message where it is missing.

    Raises:
        DataError: the file is missing, no text in UTF-8, or a cell has no end.
    """
    commas: bool | None = None
    for number, text in enumerate(_lines(path, what), start=1):
        if text.strip():
            commas = "," in text if commas is None else commas
            cells = _cells(path, number, text) if commas else text.split()
            yield Line(number, text, [cell.strip() for cell in cells])


def read_list(path: Path, kind: str = "identity") -> list[Named]:
    """The lines `<file name> <identity>` of a list file, text or CSV; see `read_lines`.

    A name may have folders in it, but leads to a file inside the folder of the pictures. The first
    line may be a header: two words, neither a number nor with a dot.

    Args:
        path: the file.
        kind: what the number of a line is, for messages: "identity" or "label".

    Raises:
        DataError: the file is missing or empty, a line is malformed, a name comes twice.
    """
    named: list[Named] = []
    first: dict[str, int] = {}
    for number, text, words in read_lines(path, f"'<file name> <{kind}>'"):
        if number == 1 and _is_header(words):
            continue
        try:
            name, identity = _parsed(words, kind)
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


def read_names(path: Path) -> list[tuple[str, str]]:
    """The lines `<file name>` of a list file, each with its place; the first may be a header.

    Raises:
        DataError: the file is missing or empty, a line is malformed, a name comes twice.
    """
    first: dict[str, int] = {}
    for number, text, words in read_lines(path, "'<file name>'"):
        if number == 1 and len(words) == 1 and "." not in words[0]:
            continue
        try:
            name = file_name(words[0] if len(words) == 1 else _spaced(text.strip()))
        except DataError:
            raise DataError(f"{path}:{number}: must be '<file name>', is {text[:60]!r}") from None
        if name in first:
            raise DataError(f"{path}:{number}: {name} is on line {first[name]} already")
        first[name] = number
    if not first:
        raise DataError(f"{path}: lists no image")
    return [(name, f"{path.name}:{number}") for name, number in first.items()]


def _spaced(text: str) -> str:
    """A name with spaces; "": it is two words, such as a name and its label."""
    return "" if "," in text or " " in os.path.splitext(text)[1] else text


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


def _cells(path: Path, number: int, text: str) -> list[str]:
    try:
        return next(csv.reader([text], skipinitialspace=True))
    except csv.Error as error:
        raise DataError(f"{path}:{number}: {error}") from None


def _lines(path: Path, what: str) -> list[str]:
    check_regular(path, f"file; it lists {what}")
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text file in UTF-8") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _is_header(words: list[str]) -> bool:
    """Such as "image identity", "file label" or "image_id,identity"; no picture is named so."""
    return len(words) == 2 and not any("." in word or word.isdigit() for word in words)


def _parsed(words: list[str], kind: str) -> tuple[str, int]:
    """Name and number; an error says what a line must be."""
    if len(words) != 2 or not words[1].isascii() or not words[1].isdigit():
        raise DataError(f"must be '<file name> <{kind}>'")
    if len(words[1]) > _DIGITS:
        raise DataError(f"{kind} must have {_DIGITS} digits at most")
    return file_name(words[0]), int(words[1])


def file_name(word: str) -> str:
    """The name of a picture as a list says it; "./a.jpg" is "a.jpg".

    Raises:
        DataError: it leads out of the folder of the pictures, or to none.
    """
    name = PurePosixPath(word)
    if name.is_absolute() or ".." in name.parts or not name.name or not word.isprintable():
        raise DataError("a name must lead to a file inside the folder of the pictures")
    return str(name)
