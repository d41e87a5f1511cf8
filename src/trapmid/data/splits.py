"""Who is private, who is public, and which private images the target learns from.

The rules are those of the low-resolution CelebA lists that the literature shares (see the
project's spec, section 6.1), with our own draws, for the lists' draws cannot be derived again.
Whoever has the lists names them (`lists`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import torch

from trapmid.config.study import DataRow
from trapmid.data import shuffled, strangers, twins
from trapmid.data.listing import DataError, Entry
from trapmid.data.lists import Given, Person
from trapmid.data.numbering import family
from trapmid.data.strangers import place
from trapmid.data.twins import Sides
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
    undrawn: int = 0  # images of private people that `images_each` leaves out
    shuffled: dict[str, Any] | None = None  # of `shuffled.described`; None: stratified, or lists


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
    everything = [(*person.entries, *person.unused) for person in people]
    shown = pictures.private([entry for own in everything for entry in own])
    mixed = twins.shared(everything, shown)
    parts = tuple(_split(person, row, shown, mixed) for person in people)
    same_people = family(row.private.reader) == family(row.public.reader)
    excluded = frozenset(identities) if same_people else frozenset()
    elsewhere = [] if row.public == row.private else public
    left_out = sum(entry.identity in excluded for entry in elsewhere)
    able = strangers.may_be_public(public, excluded, row, given)
    wanted = strangers.wanted(able, row, listed=given is not None and given.public is not None)
    found = strangers.draw(
        able, len(public), wanted, row, pictures.public, frozenset(shown.values())
    )
    check_disjoint(
        [entry for own in everything for entry in own],
        [*found.drawn, *found.copies],
        same_people=same_people,
    )
    undrawn = sum(len(person.unused) for person in people)
    return Plan(identities, parts, found.drawn, left_out, found.copies, undrawn, drawn)


def check_disjoint(private: Sequence[Entry], public: Sequence[Entry], *, same_people: bool) -> None:
    """Refuses a file on both sides and, where numbers mean the same people, an identity on both.

    Raises:
        DataError: naming the first overlap.
    """
    files = {_resolved(entry): entry for entry in private}
    people = {entry.identity: entry for entry in private} if same_people else {}
    for entry in public:
        if (twin := files.get(_resolved(entry))) is not None:
            raise DataError(f"{place(entry)}: the same file is private ({place(twin)}) and public")
        if entry.identity is not None and (twin := people.get(entry.identity)) is not None:
            raise DataError(
                f"{place(entry)}: identity {entry.identity} is public here, private in "
                f"{place(twin)}"
            )


def _resolved(entry: Entry) -> Path:
    try:
        return entry.file.resolve()
    except (OSError, RuntimeError):  # RuntimeError: links that lead round in a circle
        raise DataError(f"{place(entry)}: {entry.file} leads to no file") from None


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

    In LFW one of 62 people has a sixth of their pictures: he would decide what a network learns,
    every accuracy and every distance between sets of images.
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
