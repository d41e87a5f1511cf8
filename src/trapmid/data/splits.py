"""Who is private, who is public, and which private images the target learns from.

The rules are those of the low-resolution CelebA lists that the literature shares (see the
project's spec, section 6.1), with our own draws, for the lists' draws cannot be derived again.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import torch

from trapmid.config.study import DataRow
from trapmid.data.listing import DataError, Entry
from trapmid.runtime import stream_seed

SPLITS = ("train", "val", "test")


class Parts(NamedTuple):
    """The images of one identity."""

    train: list[Entry]
    val: list[Entry]
    test: list[Entry]


class Plan(NamedTuple):
    """Who goes where."""

    identities: tuple[int, ...]  # ascending; an identity's rank is its label
    parts: tuple[Parts, ...]  # one per identity, in the same order
    public: list[Entry]  # sorted by file
    left_out: int  # images of another folder whose number is a private person's


def plan(private: Sequence[Entry], public: Sequence[Entry], row: DataRow) -> Plan:
    """Chooses the private identities, splits their images, and draws the public images.

    Private are the first `row.identities` identity numbers, ascending, that have at least
    `row.min_images` images, and at most `row.max_images`. Public are images of everybody else: with
    the same reader on both sides a number means the same person, and private people are left out.
    The paper's public list also holds only people with less than 30 images and a number above
    1,000: `public_max_images` and `public_above`. Neither says anything about images without an
    identity.

    Raises:
        DataError: there are too few identities or images, or private and public overlap.
    """
    by_identity = _group(private, row.private.path)
    identities = _private_identities(by_identity, row)
    parts = tuple(_split(identity, by_identity[identity], row) for identity in identities)
    same_people = row.private.reader == row.public.reader
    excluded = frozenset(identities) if same_people else frozenset()
    elsewhere = [] if row.public == row.private else public
    left_out = sum(entry.identity in excluded for entry in elsewhere)
    result = Plan(identities, parts, _draw_public(public, excluded, row), left_out)
    check_disjoint(
        [entry for part in parts for split in part for entry in split],
        result.public,
        same_people=same_people,
    )
    return result


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


def _private_identities(groups: dict[int, list[Entry]], row: DataRow) -> tuple[int, ...]:
    most = math.inf if row.max_images is None else row.max_images
    able = sorted(i for i, entries in groups.items() if row.min_images <= len(entries) <= most)
    if len(able) < row.identities:
        bound = "" if row.max_images is None else f", at most {row.max_images} (max_images)"
        raise DataError(
            f"{row.private.path}: {len(able)} of {len(groups)} identities have at least "
            f"{row.min_images} images (min_images){bound}, {row.identities} are wanted (identities)"
        )
    return tuple(able[: row.identities])


def _split(identity: int, entries: list[Entry], row: DataRow) -> Parts:
    """The split of one identity; it depends on the seed and that identity's files alone."""
    n_test = _share(row.test_fraction, len(entries))
    n_val = _share(row.val_fraction, len(entries) - n_test)
    if n_test + n_val >= len(entries):
        raise DataError(
            f"{row.private.path}: identity {identity} has {len(entries)} images: {n_test} for "
            f"test and {n_val} for val leave none for train"
        )
    stream = torch.Generator().manual_seed(stream_seed(row.seed, "split", identity))
    order = torch.randperm(len(entries), generator=stream).tolist()
    drawn = order[n_test + n_val :], order[n_test : n_test + n_val], order[:n_test]
    return Parts(*([entries[index] for index in sorted(chosen)] for chosen in drawn))


def _share(fraction: float, count: int) -> int:
    """ceil(fraction * count) of the decimal fraction; in floats 0.1 * 70 is more than 7."""
    return math.ceil(Fraction(str(fraction)) * count)


def _draw_public(entries: Sequence[Entry], excluded: frozenset[int], row: DataRow) -> list[Entry]:
    counts = Counter(entry.identity for entry in entries)
    most = math.inf if row.public_max_images is None else row.public_max_images
    above = -math.inf if row.public_above is None else row.public_above
    able = [
        entry
        for entry in sorted(entries, key=lambda entry: entry.file)
        if entry.identity is None
        or (
            entry.identity not in excluded
            and counts[entry.identity] <= most
            and entry.identity > above
        )
    ]
    wanted = len(able) if row.public_images is None else row.public_images
    if not able or len(able) < wanted:
        raise DataError(
            f"{row.public.path}: {len(able)} of {len(entries)} images may be public, "
            f"{max(wanted, 1)} are wanted (public_images)"
        )
    # By a number of each file's own: where one file goes, one other comes, and the rest stay drawn.
    lot = {e: stream_seed(row.seed, "public", *e.file.parts[-2:]) for e in able}
    drawn = set(sorted(able, key=lot.__getitem__)[:wanted])
    return [entry for entry in able if entry in drawn]


def _place(entry: Entry) -> str:
    return entry.line or str(entry.file)
