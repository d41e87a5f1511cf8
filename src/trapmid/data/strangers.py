"""Which images are public: of everybody who is not private, as a row's bounds or its list say."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from trapmid.config.study import DataRow
from trapmid.data.listing import DataError, Entry
from trapmid.data.lists import Given
from trapmid.data.twins import Contents
from trapmid.runtime import stream_seed


class Public(NamedTuple):
    """The public images, and those left out as copies of private ones; both sorted by file."""

    drawn: list[Entry]
    copies: list[Entry]


def wanted(able: Sequence[Entry], row: DataRow, *, listed: bool) -> int | None:
    """How many images are to be public; None: all that may be.

    Raises:
        DataError: a list names more than the row takes, and does not say which to leave out.
    """
    if not listed:
        return row.public_images
    if row.public_images is not None and row.public_images < len(able):
        raise DataError(
            f"{row.public.path}: the list of public images names {len(able)}, {row.public_images} "
            "are wanted (public_images): null takes all of them"
        )
    return None  # a list has no next image for one that shows a private picture, too


def draw(
    able: Sequence[Entry],
    total: int,
    wanted: int | None,
    row: DataRow,
    pictures: Contents,
    private: frozenset[str],
) -> Public:
    """Draws of `able`, the images that may be public of `total`, without what `private` shows."""
    most = len(able) if wanted is None else wanted
    # By a number of each file's own: where one file goes, one other comes, and the rest stay drawn.
    lot = {entry: stream_seed(row.seed, "public", *_named(entry, row)) for entry in able}
    waiting = sorted(able, key=lot.__getitem__)
    drawn: list[Entry] = []
    copies: list[Entry] = []
    if not able or len(able) < most:
        raise DataError(_too_few(able, total, most, row))
    while waiting and len(drawn) < most:
        count = most - len(drawn)
        now, waiting = sorted(waiting[:count], key=_file), waiting[count:]
        shown = pictures(now)
        drawn += [entry for entry in now if shown[entry.file] not in private]
        copies += [entry for entry in now if shown[entry.file] in private]
    if not drawn or (wanted is not None and len(drawn) < wanted):
        raise DataError(_too_few(drawn, total, most, row))
    return Public(sorted(drawn, key=_file), sorted(copies, key=_file))


def _named(entry: Entry, row: DataRow) -> list[str]:
    """A file by its folder and name, wherever the data lie, and however a system writes accents."""
    root, file = Path(row.public.path), entry.file
    inside = file.relative_to(root) if file.is_relative_to(root) else file
    return [unicodedata.normalize("NFC", part) for part in inside.parts[-2:]]


def _too_few(able: Sequence[Entry], total: int, wanted: int, row: DataRow) -> str:
    return (
        f"{row.public.path}: {len(able)} of {total} images may be public, {max(wanted, 1)} are "
        "wanted (public_images)"
    )


def _able(entries: Sequence[Entry], excluded: frozenset[int], row: DataRow) -> list[Entry]:
    """Whom the row allows to be public."""
    counts = Counter(entry.identity for entry in entries)
    most = math.inf if row.public_max_images is None else row.public_max_images
    above = -math.inf if row.public_above is None else row.public_above
    return [
        entry
        for entry in sorted(entries, key=_file)
        if entry.identity is None
        or (
            entry.identity not in excluded
            and counts[entry.identity] <= most
            and entry.identity > above
        )
    ]


def may_be_public(
    public: Sequence[Entry], excluded: frozenset[int], row: DataRow, given: Given | None
) -> list[Entry]:
    """Those of a list, or else by the row's rule, without `excluded`.

    A private person whom a list names is found when both sides are compared.
    """
    if given and given.public is not None:
        return _listed(given.public, _able(public, frozenset(), row), row)
    return _able(public, excluded, row)


def _listed(listed: Sequence[Entry], able: Sequence[Entry], row: DataRow) -> list[Entry]:
    """The images that a list names; it says who is public, so none may be left out in silence.

    Raises:
        DataError: the row does not allow one of them.
    """
    names = frozenset(listed)
    refused = sorted(names - frozenset(able), key=_file)
    if refused:
        raise DataError(
            f"{row.public.path}: the list of public images names {len(refused)} that "
            f"public_max_images or public_above leaves out, first {place(refused[0])}"
        )
    return sorted(names, key=_file)


def _file(entry: Entry) -> Path:
    return entry.file


def place(entry: Entry) -> str:
    return entry.line or str(entry.file)
