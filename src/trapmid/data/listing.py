"""What every reader of a data set shares: entries, list files, and pictures read with care."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor


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

    Raises:
        DataError: the file is missing or empty, a line is malformed, a name comes twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; it lists '<file name> <identity>'") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text file") from None
    named: list[Named] = []
    first: dict[str, int] = {}
    for number, text in enumerate(lines, start=1):
        words = text.split()
        if not words:
            continue
        if len(words) != 2 or not words[1].isascii() or not words[1].isdigit():
            shown = text if len(text) <= 60 else f"{text[:60]}..."
            raise DataError(f"{path}:{number}: must be '<file name> <identity>', is {shown!r}")
        if words[0] in first:
            raise DataError(f"{path}:{number}: {words[0]} is on line {first[words[0]]} already")
        first[words[0]] = number
        named.append(Named(words[0], int(words[1]), f"{path.name}:{number}"))
    if not named:
        raise DataError(f"{path}: lists no image")
    return named


def read_picture(file: Path, mode: str, size: tuple[int, int] | None) -> Image.Image:
    """The decoded picture in PIL mode `mode`; `size` (width, height) is what it must measure.

    Raises:
        DataError: the file is missing, cannot be decoded, or has another size.
    """
    try:
        with Image.open(file) as opened:
            if size is not None and opened.size != size:
                width, height = opened.size
                raise DataError(f"{file}: is {width}x{height}, must be {size[0]}x{size[1]}")
            return opened.convert(mode)
    except FileNotFoundError:
        raise DataError(f"{file}: no such image") from None
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{file}: corrupt image (no known picture format)") from None
    except (OSError, SyntaxError, ValueError) as error:  # PIL: SyntaxError for a broken PNG
        raise DataError(f"{file}: corrupt image ({' '.join(str(error).split())})") from None


def to_tensor(picture: Image.Image, size: int) -> Tensor:
    """An RGB picture as (3, size, size) uint8, resized by PIL's antialiasing bilinear filter."""
    scaled = picture.resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(scaled)).permute(2, 0, 1).contiguous()
