"""What the data contract takes at CelebA's full size; images and manifest are made up in memory.

    python benchmarks/data_contract.py [--public 172572] [--out FILE.json]

1,000 private people with 30,027 images and the public images of all others, of 64 pixels: four
gigabytes. Seconds, and seconds of CPU, of the whole and of its longest parts.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from preparation import FULL, Book, bounds
from torch import Tensor

from trapmid.config.study import DataRow, Source
from trapmid.data import contract, tables
from trapmid.data.pixels import pixel_hash
from trapmid.data.prepare import ManifestRow

SIZE, PEOPLE = 64, 1000
SPLITS = {"train": 24_027, "val": 3_000, "test": 3_000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--public", type=int, default=FULL - sum(SPLITS.values()), help="images")
    parser.add_argument("--out", type=Path, help="write the numbers here, too")
    words = parser.parse_args()
    private, public = _images(words.public)
    text = _manifest(private, public)
    book = Book("made up, in memory", torch.get_num_threads())
    for name in ("pixels", "near_twins"):  # timed where the contract calls them
        setattr(tables, name, _timed(getattr(tables, name), f"contract, {name}", book))
    check = _timed(_check, "contract", book)
    verdict = check(text, private, public)
    book.add(
        "memory of the process", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB"
    )
    print("kept" if verdict.success else "\n".join(verdict.failures()))
    if words.out:
        words.out.write_text(json.dumps(book.rows, indent=1) + "\n", encoding="utf-8")


def _images(public: int) -> tuple[dict[str, Tensor], Tensor]:
    """What private.pt and public.pt hold: coarse noise, in which no two images are alike."""
    stream = torch.Generator().manual_seed(0)
    private = {}
    for name, count in SPLITS.items():
        private[f"{name}_images"] = _noise(count, stream)
        private[f"{name}_labels"] = (torch.arange(count) % PEOPLE).sort().values
    return private, _noise(public, stream)


def _noise(count: int, stream: torch.Generator) -> Tensor:
    coarse = torch.randint(0, 256, (count, 3, 16, 16), generator=stream, dtype=torch.uint8)
    return coarse.repeat_interleave(SIZE // 16, 2).repeat_interleave(SIZE // 16, 3)


def _manifest(private: dict[str, Tensor], public: Tensor) -> bytes:
    lines = [",".join(ManifestRow._fields)]
    for name in SPLITS:
        people = private[f"{name}_labels"].tolist()
        for image, label in zip(private[f"{name}_images"], people, strict=True):
            path = f"celeba/{len(lines):06d}.jpg"
            lines.append(f"{path},celeba:{label},{label},{name},{SIZE},{pixel_hash(image)}")
    for image in public:
        person = PEOPLE + len(lines) % 9000
        path = f"celeba/{len(lines):06d}.jpg"
        lines.append(f"{path},celeba:{person},,public,{SIZE},{pixel_hash(image)}")
    return "\n".join(lines).encode()


def _check(text: bytes, private: dict[str, Tensor], public: Tensor) -> contract.Verdict:
    source = Source(reader="celeba", path="made up")
    row = DataRow(
        private=source,
        public=source,
        image_size=SIZE,
        identities=PEOPLE,
        min_images=30,
        test_fraction=0.1,
        val_fraction=0.1,
        public_images=None,
        public_max_images=None,
        public_above=None,
        seed=0,
    )
    return contract.check("full", row, bounds(), tables.read_manifest(text), private, public)


def _timed(function: Callable[..., Any], name: str, book: Book) -> Callable[..., Any]:
    def timed(*words: Any) -> Any:
        begun, worked = time.monotonic(), time.process_time()
        found = function(*words)
        book.add(name, time.monotonic() - begun, "s")
        book.add(name, time.process_time() - worked, "s of CPU")
        return found

    return timed


if __name__ == "__main__":
    main()
