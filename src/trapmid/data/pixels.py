"""Decoded pixels and what is known of each: in memory, or in a folder that outlives a kill."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from trapmid.data.listing import Entry

_LINE = re.compile(r"(\d+),(\d+),(-?\d+),([0-9a-f]{64})")


class Decoded(NamedTuple):
    """One decoded picture."""

    place: int  # its row
    bytes: int  # of its file, as it was when it was read
    modified: int  # likewise, in nanoseconds
    hash: str  # see `pixel_hash`


def pixel_hash(image: Tensor) -> str:
    """SHA-256 of the bytes of an image (3, S, S) uint8, as 64 hexadecimal digits."""
    return hashlib.sha256(image.contiguous().numpy().tobytes()).hexdigest()


def mapped(file: Path, shape: Sequence[int]) -> Tensor:
    """The file as a tensor uint8: who writes into it writes into the file."""
    count = torch.Size(shape).numel()
    return torch.from_file(str(file), shared=True, size=count, dtype=torch.uint8).view(*shape)


class Pixels:
    """Rows of pixels; those of `known` are whole.

    In a folder, a journal has a line for each whole row. A row counts again only if its file has
    the size and the time that it had, and if its pixels have the digest of that line: so neither a
    power cut nor an exchanged picture is taken for finished work. A journal of other pictures is
    begun anew.

    Args:
        entries: the picture of each row.
        size: S of the images (N, 3, S, S).
        folder: None: in memory.

    Raises:
        OSError: the folder cannot be written, or the disk has no room.
    """

    def __init__(self, entries: Sequence[Entry], size: int, folder: Path | None) -> None:
        shape = (len(entries), 3, size, size)
        self.known: dict[int, str] = {}  # hash by row
        self.file = folder / "pixels" if folder and entries else None  # nothing maps no bytes
        if self.file is None:
            self.images = torch.empty(shape, dtype=torch.uint8)
            return
        self._journal = self.file.with_name("journal")
        title = f"{_digest(entries)} {shape}"
        _make_room(self.file, torch.Size(shape).numel())
        self.images = mapped(self.file, shape)
        whole = [line for line in self._lines(title) if self._is_whole(line, entries)]
        fresh = self._journal.with_name("journal.new")
        fresh.write_text(f"{title}\n", encoding="ascii")  # without lines that were cut off
        _append(fresh, whole)
        fresh.replace(self._journal)
        self.known = {line.place: line.hash for line in whole}

    def keep(self, rows: Sequence[Decoded]) -> None:
        """Notes that these rows are whole."""
        self.known.update((row.place, row.hash) for row in rows)
        if self.file is not None:
            _append(self._journal, rows)

    def _lines(self, title: str) -> list[Decoded]:
        """The rows of the journal, if it is of these pictures; a line that was cut off is none."""
        try:
            first, *lines = self._journal.read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):
            return []
        found = map(_LINE.fullmatch, lines if first == title else ())
        return [
            Decoded(int(line[1]), int(line[2]), int(line[3]), line[4]) for line in found if line
        ]

    def _is_whole(self, line: Decoded, entries: Sequence[Entry]) -> bool:
        if line.place >= len(entries):
            return False
        try:
            now = entries[line.place].file.stat()
        except OSError:
            return False
        same = (now.st_size, now.st_mtime_ns) == (line.bytes, line.modified)
        return same and pixel_hash(self.images[line.place]) == line.hash


def _append(journal: Path, rows: Iterable[Decoded]) -> None:
    with journal.open("a", encoding="ascii") as stream:
        stream.writelines(f"{','.join(map(str, row))}\n" for row in rows)


def _digest(entries: Sequence[Entry]) -> str:
    """Of who they are, in their order."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(os.fsencode(entry.file) + b"\0")
    return digest.hexdigest()


def _make_room(file: Path, size: int) -> None:
    """A file of `size` bytes that the disk has room for.

    To write to a mapped file on a full disk would end the process without a word.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("ab") as stream:
            if stream.tell() != size:
                stream.truncate(size)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(stream.fileno(), 0, size)
    except OSError as error:
        raise OSError(f"{file}: cannot be written: {error.strerror or error}") from None
