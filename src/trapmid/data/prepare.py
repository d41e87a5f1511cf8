"""Images on disk become two tensors and a manifest; nothing is written here."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from trapmid.config.study import DataRow
from trapmid.data import splits
from trapmid.data.listing import DataError, Entry, Reader

_WORKERS = 8  # PIL decodes outside the interpreter's lock


class ManifestRow(NamedTuple):
    """One prepared image; the field names are the columns of manifest.csv."""

    path: str  # name of the source, then the path inside it: celeba/img_align_celeba/000001.jpg
    identity: str  # reader and number, celeba:2880; empty if nobody knows
    label: str  # 0 .. identities - 1; empty if public
    split: str  # train, val, test or public
    size: int
    hash: str  # of the prepared pixels, see `pixel_hash`


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


def prepare(row: DataRow, private: Reader, public: Reader) -> Prepared:
    """Reads, splits, crops and resizes one data set.

    Args:
        row: its parameters.
        private: the reader of `row.private`.
        public: the reader of `row.public`.

    Raises:
        DataError: a list, an image or the set of identities is wrong.
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
    n_private = len(items)
    items += [_Item(entry, None, "public") for entry in chosen.public]
    images = torch.empty(len(items), 3, row.image_size, row.image_size, dtype=torch.uint8)
    _load(private, items[:n_private], images[:n_private], "private images")
    _load(public, items[n_private:], images[n_private:], "public images")
    tensors: dict[str, Tensor] = {"identities": torch.tensor(chosen.identities)}
    for name in splits.SPLITS:
        here = [index for index, item in enumerate(items[:n_private]) if item.split == name]
        tensors[f"{name}_images"] = images[here]
        labels = [items[index].label for index in here]
        tensors[f"{name}_labels"] = torch.tensor(labels, dtype=torch.int64)
    manifest = _manifest(row, items, images)
    return Prepared(tensors, images[n_private:].clone(), manifest, chosen.left_out)


def pixel_hash(image: Tensor) -> str:
    """SHA-256 of the bytes of an image (3, S, S) uint8, as 64 hexadecimal digits."""
    return hashlib.sha256(image.contiguous().numpy().tobytes()).hexdigest()


def to_csv(manifest: Sequence[ManifestRow]) -> bytes:
    """The text of manifest.csv."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(ManifestRow._fields)
    writer.writerows(manifest)
    return stream.getvalue().encode()


def _load(reader: Reader, items: Sequence[_Item], into: Tensor, what: str) -> None:
    """Fills `into`, row by row; the first wrong image in order stops it all."""

    def load(index: int) -> None:
        entry = items[index].entry
        try:
            into[index] = reader.load(entry.file, into.shape[-1])
        except DataError as error:
            where = f" ({entry.line})" if entry.line else ""
            raise DataError(f"{error}{where}") from None

    with ThreadPoolExecutor(_WORKERS) as pool:
        done = pool.map(load, range(len(items)))
        try:
            for _ in tqdm(done, total=len(items), desc=what, unit="img", mininterval=1):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _manifest(row: DataRow, items: Sequence[_Item], images: Tensor) -> list[ManifestRow]:
    private, public = row.private, row.public
    twice = private.reader == public.reader and private.path != public.path
    public_name = f"{public.reader}-public" if twice else public.reader
    rows = []
    for item, image in zip(items, images, strict=True):
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
                hash=pixel_hash(image),
            )
        )
    return rows
