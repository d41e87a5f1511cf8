"""Images on disk become two tensors and a manifest; nothing is written here."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from trapmid.config.study import DataRow
from trapmid.data import splits
from trapmid.data.decoding import load
from trapmid.data.listing import Entry, Reader


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
        scratch: a folder that keeps decoded images, see `decoding.load`; they are mapped from it.

    Raises:
        DataError: a list, an image or the set of identities is wrong.
        OSError: `scratch` cannot be written.
    """
    own = private.entries(Path(row.private.path))
    others = own if row.public == row.private else public.entries(Path(row.public.path))
    chosen = splits.plan(own, others, row)
    items = [
        _Item(entry, label, name)
        for index, name in enumerate(splits.SPLITS)
        for label, part in enumerate(chosen.parts)
        for entry in part[index]
    ]
    inside = load(
        private,
        [item.entry for item in items],
        row.image_size,
        "private images",
        scratch and scratch / "private",
    )
    outside = load(
        public, chosen.public, row.image_size, "public images", scratch and scratch / "public"
    )
    tensors: dict[str, Tensor] = {"identities": torch.tensor(chosen.identities)}
    first = 0
    for name in splits.SPLITS:
        labels = [item.label for item in items if item.split == name]
        tensors[f"{name}_images"] = inside.images[first : first + len(labels)]
        tensors[f"{name}_labels"] = torch.tensor(labels, dtype=torch.int64)
        first += len(labels)
    items += [_Item(entry, None, "public") for entry in chosen.public]
    manifest = _manifest(row, items, [*inside.hashes, *outside.hashes])
    return Prepared(tensors, outside.images, manifest, chosen.left_out)


def to_csv(manifest: Sequence[ManifestRow]) -> bytes:
    """The text of manifest.csv."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(ManifestRow._fields)
    writer.writerows(manifest)
    return stream.getvalue().encode()


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
