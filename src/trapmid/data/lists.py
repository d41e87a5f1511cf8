"""Lists that say who is private, which images teach and test, and what is public.

celeba_trainset.txt, celeba_testset.txt    lines "107724.jpg 0": file and label
celeba_ganset.txt                          lines "075673.jpg"

So the low-resolution literature shares its draws (KED-MI, PLG-MI, Trap-MID). Names lead to files of
the folder, whether they end in .jpg or .png. Which images the authors drew cannot be derived again,
so a study on their split needs their files; these are known by their digests.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from trapmid.config.study import DataRow
from trapmid.data import listing
from trapmid.data.listing import DataError, Entry

OFFICIAL = {
    "f4710b40b52bccb9ccadb1f8f0d32717": "celeba_trainset.txt",  # 27,018 lines, labels 0 to 999
    "7b3504a4e8c980985339ff33113ce123": "celeba_testset.txt",  # 3,009 lines
    "d9f5bdf5014a49434c5d4335f21be3a6": "celeba_ganset.txt",  # 30,000 lines
}
"""MD5 of the lists that the literature shares, and their names."""


class Person(NamedTuple):
    """The images of one private person."""

    identity: int
    entries: list[Entry]  # sorted
    test: frozenset[Path] | None = None  # those that a list keeps for test; None: nobody says
    unused: tuple[Entry, ...] = ()  # neither private nor public


class Given(NamedTuple):
    """What the lists of a row of `data` say."""

    people: list[Person]  # in the order of the labels
    public: list[Entry] | None  # None: no list says
    files: list[dict[str, str]]  # per list: file, md5, and whether it is "official" or "own"


class _Labelled(NamedTuple):
    entry: Entry
    identity: int
    label: int
    line: str


def read(row: DataRow, private: Sequence[Entry], public: Sequence[Entry]) -> Given | None:
    """What `row.lists` says; None where the row has none.

    Args:
        row: its lists are files in the folders of its sources.
        private: all entries of `row.private`.
        public: all entries of `row.public`.

    Raises:
        DataError: a list is missing or malformed, names an image that is not there or twice, has
            a gap in its labels or a label of two people, or other numbers than the row says.
    """
    if row.lists is None:
        return None
    train, test = (_inside(row.private.path, name) for name in (row.lists.train, row.lists.test))
    known = _Names(private, row.private.path)
    taught, tested = (_labelled(path, known) for path in (train, test))
    people = _people(taught, tested, row, train)
    files = [train, test]
    drawn = None
    if row.lists.public is not None:
        files.append(path := _inside(row.public.path, row.lists.public))
        same = row.public == row.private
        drawn = _unlabelled(path, known if same else _Names(public, row.public.path))
    return Given(people, drawn, [_described(path) for path in files])


def _composed(name: str) -> str:
    """A name as most systems write its accents; macOS writes each as a sign of its own."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


class _Names:
    """Entries by the names that lists have for them."""

    def __init__(self, entries: Sequence[Entry], root: str) -> None:
        self._root = root
        top = Path(os.path.commonpath([str(entry.file.parent) for entry in entries])).as_posix()
        # Texts, not paths: of 200,000 images paths take seconds.
        names = {
            _composed(entry.file.as_posix().removeprefix(f"{top}/")): entry for entry in entries
        }
        self._stems = {os.path.splitext(name)[0]: entry for name, entry in names.items()}
        self._names = names
        # Of one folder alone, as FFHQ's first thousand, names may still begin with it.
        self._above = _composed(f"{Path(top).relative_to(root).as_posix()}/")

    def entry(self, name: str) -> Entry:
        inside = _composed(name).removeprefix(self._above)
        found = self._names.get(inside) or self._stems.get(os.path.splitext(inside)[0])
        if found is None:
            raise DataError(f"{name} is not among the images of {self._root}")
        return found


def _inside(root: str, name: str) -> Path:
    """A list in the folder of the data, so that whatever watches the folder sees it change."""
    try:
        return Path(root) / listing.file_name(name)
    except DataError:
        raise DataError(
            f"{name}: a list must stand in the folder {root}, named from there"
        ) from None


def _labelled(path: Path, known: _Names) -> list[_Labelled]:
    found = []
    for name, label, line in listing.read_list(path, "label"):
        entry = _entry(known, name, line)
        if entry.identity is None:
            raise DataError(f"{line}: {name} cannot be private: it has no identity")
        found.append(_Labelled(entry, entry.identity, label, line))
    return found


def _unlabelled(path: Path, known: _Names) -> list[Entry]:
    names = listing.read_names(path)
    return sorted(_entry(known, name, line) for name, line in names)


def _entry(known: _Names, name: str, line: str) -> Entry:
    try:
        return known.entry(name)
    except DataError as error:
        raise DataError(f"{line}: {error}") from None


def _people(
    taught: list[_Labelled], tested: list[_Labelled], row: DataRow, train: Path
) -> list[Person]:
    _check_once(taught, tested)
    owners = _owners([*taught, *tested])
    labels = sorted({one.label for one in taught})
    if labels != list(range(row.identities)) or len(owners) > row.identities:
        raise DataError(
            f"{train}: its labels must be 0 to {row.identities - 1}, as identities is "
            f"{row.identities}; {_gap(labels, owners, row.identities)}"
        )
    images: dict[int, list[Entry]] = defaultdict(list)
    kept: dict[int, set[Path]] = defaultdict(set)
    for one in [*taught, *tested]:
        images[one.label].append(one.entry)
    for one in tested:
        kept[one.label].add(one.entry.file)
    return [Person(owners[n], sorted(images[n]), frozenset(kept[n])) for n in labels]


def _gap(labels: Sequence[int], owners: Iterable[int], count: int) -> str:
    missing = sorted(set(range(count)) - set(labels))
    if missing:
        return f"{missing[0]} is missing"
    return f"{max(owners)} is there, too"


def _check_once(taught: list[_Labelled], tested: list[_Labelled]) -> None:
    lines: dict[Path, str] = {}
    for one in [*taught, *tested]:
        if one.entry.file in lines:
            name = one.entry.file.name
            raise DataError(f"{one.line}: {name} is in {lines[one.entry.file]} already")
        lines[one.entry.file] = one.line


def _owners(labelled: list[_Labelled]) -> dict[int, int]:
    """The identity of each label; a label is one person's, and a person has one label."""
    owners: dict[int, _Labelled] = {}
    labels: dict[int, _Labelled] = {}
    for one in labelled:
        same, own = owners.setdefault(one.label, one), labels.setdefault(one.identity, one)
        if same.identity != one.identity or own.label != one.label:
            other = same if same.identity != one.identity else own
            raise DataError(
                f"{one.line}: label {one.label} is identity {one.identity} here, in {other.line} "
                f"label {other.label} is identity {other.identity}"
            )
    return {label: one.identity for label, one in owners.items()}


def _described(path: Path) -> dict[str, str]:
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    return {"file": path.name, "md5": md5, "kind": kind(md5)}


def kind(md5: str) -> str:
    """What a list is, by its digest."""
    return f"official list ({OFFICIAL[md5]})" if md5 in OFFICIAL else "own list"
