"""Images on disk become two tensors and a manifest; nothing is written here."""

from __future__ import annotations

import csv
import functools
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trapmid.config.study import DataRow
from trapmid.data import lists, splits
from trapmid.data.decoding import load
from trapmid.data.listing import Entry, Reader
from trapmid.data.twins import Sides


class ManifestRow(NamedTuple):
    """One prepared image; the field names are the columns of manifest.csv."""

    path: str  # name of the source, then the path inside it: celeba/img_align_celeba/000001.jpg
    identity: str  # reader and number, celeba:2880; empty if nobody knows
    label: str  # 0 .. identities - 1; empty if public
    split: str  # train, val, test or public
    size: int
    hash: str  # of the prepared pixels, see `pixels.pixel_hash`


@dataclass(frozen=True)
class Prepared:
    """A prepared data set."""

    private: dict[str, Tensor]
    """{train,val,test}_images (N, 3, S, S) uint8 and {train,val,test}_labels (N,) int64, sorted by
    label; identities (C,) int64: the number that label c had in the source."""
    public: Tensor  # (N, 3, S, S) uint8
    manifest: list[ManifestRow]  # train, val, test, public, in the order of the tensors
    left_out: int  # see `splits.Plan`
    sources: dict[str, Any]  # see `_sources`


class _Item(NamedTuple):
    entry: Entry
    label: int | None
    split: str


def prepare(row: DataRow, private: Reader, public: Reader, scratch: Path | None = None) -> Prepared:
    """Reads, splits, crops and resizes one data set.

    Args:
        row: its parameters.
        private: the reader of `row.private`.
        public: the reader of `row.public`.
        scratch: a folder that keeps decoded images, see `decoding.load`; some are mapped from it.

    Raises:
        DataError: a list, an image or the set of identities is wrong.
        OSError: `scratch` cannot be written.
    """
    own = private.entries(Path(row.private.path))
    others = own if row.public == row.private else public.entries(Path(row.public.path))
    given = lists.read(row, own, others)
    inside = _Pictures(private, row.image_size, "private", scratch)
    outside = _Pictures(public, row.image_size, "public", scratch)
    chosen = splits.plan(own, others, row, given, Sides(inside, outside))
    items = [
        _Item(entry, label, name)
        for index, name in enumerate(splits.SPLITS)
        for label, part in enumerate(chosen.parts)
        for entry in part[index]
    ]
    tensors: dict[str, Tensor] = {"identities": torch.tensor(chosen.identities)}
    for name in splits.SPLITS:
        here = [item for item in items if item.split == name]
        tensors[f"{name}_images"] = inside.images([item.entry for item in here])
        labels = [item.label for item in here]
        tensors[f"{name}_labels"] = torch.tensor(labels, dtype=torch.int64)
    hashes = inside.hashes | outside.hashes
    items += [_Item(entry, None, "public") for entry in chosen.public]
    manifest = _manifest(row, items, [hashes[item.entry.file] for item in items])
    sources = _sources(row, chosen, given)
    return Prepared(tensors, outside.images(chosen.public), manifest, chosen.left_out, sources)


class _Pictures:
    """The pictures of one side, each decoded once, when it is asked for."""

    def __init__(self, reader: Reader, size: int, side: str, scratch: Path | None) -> None:
        self._load = functools.partial(load, reader, size=size, what=f"{side} images")
        self._folder = scratch and scratch / side
        self._blocks: list[Tensor] = []
        self._places: dict[Path, tuple[int, int]] = {}  # block, and place in it
        self.hashes: dict[Path, str] = {}

    def __call__(self, entries: Sequence[Entry]) -> Mapping[Path, str]:
        """What files show, see `twins.Contents`."""
        folder = self._folder and self._folder / str(len(self._blocks))
        loaded = self._load(entries, folder=folder)
        for place, (entry, digest) in enumerate(zip(entries, loaded.hashes, strict=True)):
            self._places[entry.file] = (len(self._blocks), place)
            self.hashes[entry.file] = digest
        self._blocks.append(loaded.images)
        return self.hashes

    def images(self, entries: Sequence[Entry]) -> Tensor:
        """(N, 3, S, S) uint8; where all is wanted in order, nothing is copied."""
        places = [self._places[entry.file] for entry in entries]
        whole = self._blocks[0]
        if places == [(0, place) for place in range(len(whole))]:
            return whole
        images = whole.new_empty(len(places), *whole.shape[1:])
        for index, block in enumerate(self._blocks):
            to = [row for row, (number, _) in enumerate(places) if number == index]
            images[to] = block[[places[row][1] for row in to]]
        return images


def to_csv(manifest: Sequence[ManifestRow]) -> bytes:
    """The text of manifest.csv."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(ManifestRow._fields)
    writer.writerows(manifest)
    return stream.getvalue().encode()


def _sources(row: DataRow, chosen: splits.Plan, given: lists.Given | None) -> dict[str, Any]:
    """What sources.json holds: how it was decided who goes where, and what was left out."""
    people = ",".join(map(str, chosen.identities)).encode()
    untested = sum(not part.test for part in chosen.parts)
    return {
        "rule": "lists" if given else f"private_order: {row.private_order}",
        "lists": given.files if given else [],
        **({} if chosen.shuffled is None else {"shuffled": chosen.shuffled}),
        **({"people_without_test": untested} if untested else {}),
        **({"undrawn": chosen.undrawn} if chosen.undrawn else {}),
        "people_sha256": hashlib.sha256(people).hexdigest(),  # of "14,15,17,...", in label order
        "public_copies": [
            entry.file.relative_to(row.public.path).as_posix() for entry in chosen.copies
        ],
    }


def _manifest(row: DataRow, items: Sequence[_Item], hashes: Sequence[str]) -> list[ManifestRow]:
    private, public = row.private, row.public
    twice = private.reader == public.reader and private.path != public.path
    public_name = f"{public.reader}-public" if twice else public.reader
    rows = []
    for item, digest in zip(items, hashes, strict=True):
        source, name = (
            (public, public_name) if item.split == "public" else (private, private.reader)
        )
        entry = item.entry
        rows.append(
            ManifestRow(
                path=f"{name}/{entry.file.relative_to(source.path).as_posix()}",
                identity="" if entry.identity is None else f"{source.reader}:{entry.identity}",
                label="" if item.label is None else str(item.label),
                split=item.split,
                size=row.image_size,
                hash=digest,
            )
        )
    return rows
