"""Who is private, who is public, and which private images the target learns from.

The rules are those of the low-resolution CelebA lists that the literature shares (see the
project's spec, section 6.1), with our own draws, for the lists' draws cannot be derived again.
Whoever has the lists names them (`lists`).
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import torch

from trapmid.config.study import DataRow
from trapmid.data import shuffled, twins
from trapmid.data.listing import DataError, Entry
from trapmid.data.lists import Given, Person
from trapmid.data.numbering import family
from trapmid.data.twins import Contents, Sides
from trapmid.runtime import stream_seed

SPLITS = ("train", "val", "test")


class Parts(NamedTuple):
    """The images of one identity."""

    train: list[Entry]
    val: list[Entry]
    test: list[Entry]


class Plan(NamedTuple):
    """Who goes where."""

    identities: tuple[int, ...]  # an identity's place is its label; ascending by the usual rule
    parts: tuple[Parts, ...]  # one per identity, in the same order
    public: list[Entry]  # sorted by file
    left_out: int  # images of another folder whose number is a private person's
    copies: list[Entry]  # left out of the public ones, too: byte-wise copies of private images
    shuffled: dict[str, Any] | None = None  # of `shuffled.described`; None: stratified, or lists


class Public(NamedTuple):
    """The public images, and those left out as copies of private ones; both sorted by file."""

    drawn: list[Entry]
    copies: list[Entry]


def plan(
    private: Sequence[Entry],
    public: Sequence[Entry],
    row: DataRow,
    given: Given | None = None,
    pictures: Sides = twins.ALL_DIFFER,
) -> Plan:
    """Chooses the private identities, splits their images, and draws the public images.

    Private are the first `row.identities` identity numbers that have at least `row.min_images`
    images, and at most `row.max_images`: ascending, or by `row.private_order` those of the most
    images. Of each at most `row.images_each` are drawn, and nobody sees the others. Public are
    images of everybody else: where both readers number people alike, private people are left out.
    The paper's public list also holds only people with less than 30 images and a number above
    1,000: `public_max_images` and `public_above`. Neither says anything about images without an
    identity. Of copies of one picture `twins` says where they go.

    Args:
        private: all entries of the private source.
        public: all entries of the public source.
        row: the parameters.
        given: what the row's lists say, if it has any, instead of the rule and the draw.
        pictures: which files show the same picture.

    Raises:
        DataError: there are too few identities or images, or private and public overlap.
    """
    people, drawn = _people(private, row, given)
    identities = tuple(person.identity for person in people)
    shown = pictures.private([e for person in people for e in (*person.entries, *person.unused)])
    mixed = twins.shared([person.entries for person in people], shown)
    parts = tuple(_split(person, row, shown, mixed) for person in people)
    same_people = family(row.private.reader) == family(row.public.reader)
    excluded = frozenset(identities) if same_people else frozenset()
    elsewhere = [] if row.public == row.private else public
    left_out = sum(entry.identity in excluded for entry in elsewhere)
    able = _may_be_public(public, excluded, row, given)
    wanted = _wanted(able, row, listed=given is not None and given.public is not None)
    found = _draw_public(able, len(public), wanted, row, pictures.public, frozenset(shown.values()))
    check_disjoint(
        [entry for part in parts for split in part for entry in split],
        [*found.drawn, *found.copies],
        same_people=same_people,
    )
    return Plan(identities, parts, found.drawn, left_out, found.copies, drawn)


def check_disjoint(private: Sequence[Entry], public: Sequence[Entry], *, same_people: bool) -> None:
    """Refuses a file on both sides and, where numbers mean the same people, an identity on both.

    Raises:
        DataError: naming the first overlap.
    """
    files = {_resolved(entry): entry for entry in private}
    people = {entry.identity: entry for entry in private} if same_people else {}
    for entry in public:
        if (twin := files.get(_resolved(entry))) is not None:
            raise DataError(
                f"{_place(entry)}: the same file is private ({_place(twin)}) and public"
            )
        if entry.identity is not None and (twin := people.get(entry.identity)) is not None:
            raise DataError(
                f"{_place(entry)}: identity {entry.identity} is public here, private in "
                f"{_place(twin)}"
            )


def _resolved(entry: Entry) -> Path:
    try:
        return entry.file.resolve()
    except (OSError, RuntimeError):  # RuntimeError: links that lead round in a circle
        raise DataError(f"{_place(entry)}: {entry.file} leads to no file") from None


def _group(entries: Sequence[Entry], path: str) -> dict[int, list[Entry]]:
    groups: dict[int, list[Entry]] = defaultdict(list)
    for entry in sorted(entries):
        if entry.identity is None:
            raise DataError(f"{path}: cannot be private: {entry.file.name} has no identity")
        groups[entry.identity].append(entry)
    return groups


def _people(
    private: Sequence[Entry], row: DataRow, given: Given | None
) -> tuple[Sequence[Person], dict[str, Any] | None]:
    """The private people with their images, and what is told of a shuffled split, if it is one."""
    people = given.people if given else _by_rule(_group(private, row.private.path), row)
    if row.test_split != "shuffled":
        return people, None
    drawn = shuffled.described(people, row.test_fraction)
    return shuffled.split(people, row.test_fraction), drawn


def _by_rule(groups: dict[int, list[Entry]], row: DataRow) -> list[Person]:
    most = math.inf if row.max_images is None else row.max_images
    able = sorted(i for i, entries in groups.items() if row.min_images <= len(entries) <= most)
    if len(able) < row.identities:
        bound = "" if row.max_images is None else f", at most {row.max_images} (max_images)"
        raise DataError(
            f"{row.private.path}: {len(able)} of {len(groups)} identities have at least "
            f"{row.min_images} images (min_images){bound}, {row.identities} are wanted (identities)"
        )
    if row.private_order == "images":  # of equals first whose picture comes first
        able.sort(key=lambda i: (-len(groups[i]), groups[i][0]))
    return [_drawn(Person(i, groups[i]), row) for i in able[: row.identities]]


def _drawn(person: Person, row: DataRow) -> Person:
    """The person with `row.images_each` images at most.

    In sets from the press one person has a twentieth of all images: he would decide what a network
    learns, every accuracy and every distance between sets of images.
    """
    if row.images_each is None or len(person.entries) <= row.images_each:
        return person
    stream = torch.Generator().manual_seed(stream_seed(row.seed, "images", person.identity))
    order = torch.randperm(len(person.entries), generator=stream).tolist()
    kept, unused = order[: row.images_each], order[row.images_each :]
    return person._replace(
        entries=[person.entries[place] for place in sorted(kept)],
        unused=tuple(person.entries[place] for place in sorted(unused)),
    )


def _split(person: Person, row: DataRow, shown: Mapping[Path, str], mixed: frozenset[str]) -> Parts:
    """The split of one identity; it depends on the seed and that identity's files alone.

    But for pictures in `mixed`, which other private people have, too: they are trained on.
    """
    copies: dict[str, list[Entry]] = defaultdict(list)  # all files of one picture are drawn as one
    for entry in person.entries:
        copies[shown[entry.file]].append(entry)
    unclear = [entry for picture in mixed for entry in copies.pop(picture, [])]
    stream = torch.Generator().manual_seed(stream_seed(row.seed, "split", person.identity))
    own = list(copies.values())
    drawn = [own[place] for place in torch.randperm(len(own), generator=stream).tolist()]
    n_test = _share(row.test_fraction, len(person.entries))
    if (kept := person.test) is not None:  # a list says, but a copy of a training image is one
        drawn.sort(key=lambda files: any(entry.file not in kept for entry in files))
        n_test = sum(all(entry.file in kept for entry in files) for files in drawn)
    n_val = _share(row.val_fraction, len(person.entries) - n_test)
    if n_test + n_val >= len(drawn):
        raise DataError(
            f"{row.private.path}: identity {person.identity} ({person.entries[0].file.name} and "
            f"{len(person.entries) - 1} more) has {len(drawn)} different pictures: {n_test} for "
            f"test and {n_val} for val leave none for train"
        )
    places = drawn[n_test + n_val :], drawn[n_test : n_test + n_val], drawn[:n_test]
    train, val, test = ([entry for files in part for entry in files] for part in places)
    return Parts(sorted(train + unclear), sorted(val), sorted(test))


def _share(fraction: float, count: int) -> int:
    """ceil(fraction * count) of the decimal fraction; in floats 0.07 * 100 is more than 7."""
    return math.ceil(Fraction(str(fraction)) * count)


def _wanted(able: Sequence[Entry], row: DataRow, *, listed: bool) -> int | None:
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


def _draw_public(
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


def _may_be_public(
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
            f"public_max_images or public_above leaves out, first {_place(refused[0])}"
        )
    return sorted(names, key=_file)


def _file(entry: Entry) -> Path:
    return entry.file


def _place(entry: Entry) -> str:
    return entry.line or str(entry.file)
