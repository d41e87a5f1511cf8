"""How fast a CelebA of full size is prepared and checked, how much memory that takes.

    python benchmarks/preparation.py FOLDER [--images 202599] [--everything] [--faces PATH] [--kill]
        [--out FILE.json]

It fabricates a tree with CelebA's layout and counts in FOLDER/celeba (once; two gigabytes, outside
of Git), prepares it at 64 pixels with the derived rule, and checks the contract. A line each:
images a second, beside a loop that only decodes (Pillow's libjpeg-turbo, and torchvision's) on as
many processes in the same run; memory; seconds of the contract; the counts. --faces decodes the
files of a CelebA that is there instead of fabricated ones. --everything makes all other people
public. --kill ends the preparation after 20 s first, and says how many images were kept. --out
writes the numbers as rows, too. benchmarks/data_contract.py checks a set of full size in memory.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from trapmid.artifacts import checkpoints, lineage
from trapmid.config.study import DataRow, Source, Validation
from trapmid.data import contract, tables
from trapmid.data.celeba import Reader
from trapmid.data.prepare import Prepared, prepare, to_csv

FULL = 202_599
PEOPLE = 10_177
PRIVATE = [30] * 991 + [31] * 4 + [34] * 2 + [35] * 3  # images of the 1,000 private people
ELIGIBLE = 114_179  # public images: of people above 1,000 with less than 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=FULL, help="of the fabricated tree, at most")
    parser.add_argument("--everything", action="store_true", help="all others are public")
    parser.add_argument("--faces", type=Path, help="a CelebA that is there")
    parser.add_argument("--kill", action="store_true", help="end it in the middle once")
    parser.add_argument("--out", type=Path, help="write the numbers here, too")
    words = parser.parse_args()
    root = words.faces or words.folder / "celeba"
    if not root.is_dir():
        fabricate(root, words.images)
    row = _row(root, everything=words.everything or words.faces is not None)
    cores = len(os.sched_getaffinity(0))
    files = [entry.file for entry in Reader().entries(root)]
    book = Book("faces that are there" if words.faces else "fabricated pictures", cores)
    with tempfile.TemporaryDirectory(dir=words.folder) as scratch:
        if words.kill:
            _kill_in_the_middle(row, Path(scratch))
        prepared, speed = _prepare(row, Path(scratch), book)
        sample = files[:: max(1, len(files) // 20_000)]
        for name, decode in (("Pillow", _pillow), ("torchvision", _torchvision)):
            bare = _bare(decode, sample, cores)
            book.add(f"decoding alone, {name}", bare, "images/s", images=len(sample))
            if not words.kill:  # else a part of the pictures had been decoded before
                book.add(f"preparation, share of decoding alone, {name}", speed / bare, "share")
        _save(prepared, words.folder / "prepared", book)
        _check(row, prepared, book)
    if words.out:
        words.out.write_text(json.dumps(book.rows, indent=1) + "\n", encoding="utf-8")


class Book:
    """The numbers: printed, and kept as rows.

    Args:
        what: which pictures were prepared.
        cores: on how many.
    """

    def __init__(self, what: str, cores: int) -> None:
        self.rows: list[dict[str, Any]] = []
        self._common = {"pictures": what, "cores": cores, "torch": torch.__version__}
        self._common |= {"date": f"{datetime.now(UTC):%Y-%m-%d}"}

    def add(self, name: str, value: float, unit: str, **more: Any) -> None:
        value = float(f"{value:.4g}")
        print(f"{name}: {value:g} {unit} {more or ''}".rstrip(), flush=True)
        self.rows.append({"name": name, "value": value, "unit": unit, **more, **self._common})


# --- a tree like CelebA's -------------------------------------------------------------------------


def identities(images: int) -> list[int]:
    """Whose every picture is, by CelebA's counts: 1,000 private people, 1,360 others of 30 or more.

    Of fewer images than CelebA's, the first.
    """
    able = np.linspace(14, 4566, len(PRIVATE)).astype(int)  # the private people's numbers
    others = np.linspace(4567, PEOPLE, 1360).astype(int)
    counts = dict(zip(able.tolist(), PRIVATE, strict=True))
    counts |= dict.fromkeys(others.tolist(), 30)
    low = [one for one in range(1, 1001) if one not in counts]
    high = [one for one in range(1001, PEOPLE + 1) if one not in counts]
    counts |= _spread(high, ELIGIBLE)
    counts |= _spread(low, FULL - sum(counts.values()))
    owners = [one for one in sorted(counts) for _ in range(counts[one])]
    return owners[:images]


def _spread(people: Sequence[int], images: int) -> dict[int, int]:
    each, rest = divmod(images, len(people))
    assert 0 < each < 29
    return {one: each + (index < rest) for index, one in enumerate(people)}


def fabricate(root: Path, images: int) -> None:
    """CelebA's layout with noise for faces: no two pictures are alike, each has some 7 kB."""
    begun = time.monotonic()
    folder = root / "img_align_celeba"
    folder.mkdir(parents=True)
    names = [f"{number:06d}.jpg" for number in range(1, images + 1)]
    with ProcessPoolExecutor() as pool:
        for _ in pool.map(draw, [folder / name for name in names], chunksize=500):
            pass
    owners = zip(names, identities(images), strict=True)
    (root / "identity_CelebA.txt").write_text("".join(f"{name} {one}\n" for name, one in owners))
    print(f"fabricated {images:,} pictures in {time.monotonic() - begun:.0f} s")


def draw(file: Path) -> None:
    """A picture of CelebA's size, by the number that is its name."""
    stream = np.random.default_rng(int(file.stem))
    coarse = Image.fromarray(stream.integers(0, 256, (14, 11, 3), dtype=np.uint8))
    picture = np.asarray(coarse.resize((178, 218), Image.Resampling.BICUBIC), dtype=np.int16)
    grain = stream.integers(-6, 7, (218, 178, 1), dtype=np.int16)
    Image.fromarray((picture + grain).clip(0, 255).astype(np.uint8)).save(file, quality=75)


def _row(root: Path, *, everything: bool) -> DataRow:
    """The paper's row; or all others public, and as many private people as there are."""
    source = Source(reader="celeba", path=str(root))
    small = len(Reader().entries(root)) < FULL
    return DataRow(
        private=source,
        public=source,
        image_size=64,
        identities=100 if small else 1000,
        min_images=24 if small else 30,
        test_fraction=0.1,
        val_fraction=0.0,
        public_images=None if everything or small else 30_000,
        public_max_images=None if everything else 29,
        public_above=None if everything or small else 1000,
        seed=0,
    )


# --- what is measured -----------------------------------------------------------------------------


def _prepare(row: DataRow, scratch: Path, book: Book) -> tuple[Prepared, float]:
    with Watch() as most:
        begun = time.monotonic()
        prepared = prepare(row, Reader(), Reader(), scratch)
        seconds = time.monotonic() - begun
    count = len(prepared.manifest)
    counts = {name: len(prepared.private[f"{name}_labels"]) for name in ("train", "val", "test")}
    counts["public"] = len(prepared.public)
    book.add("preparation", seconds, "s", images=count, **counts)
    book.add("preparation, speed", count / seconds, "images/s")
    book.add("preparation, memory of all processes without mapped files", most[0] / 2**20, "MB")
    return prepared, count / seconds


class Watch:
    """The most memory of this process and its children that no file stands behind, in bytes."""

    def __enter__(self) -> list[int]:
        self.most = [0]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self.most

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            self.most[0] = max(self.most[0], sum(map(_private, _family(os.getpid()))))


def _family(parent: int) -> Iterator[int]:
    yield parent
    children = Path(f"/proc/{parent}/task/{parent}/children")
    for child in children.read_text().split() if children.exists() else ():
        yield from _family(int(child))


def _private(process: int) -> int:
    """Memory in proportion to who shares it."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss_Anon:"))


def _bare(decode: Callable[[Path], None], files: Sequence[Path], cores: int) -> float:
    """Images a second of a loop that does nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torchvision.io", "PIL.Image"])
    with ProcessPoolExecutor(cores, context, torch.set_num_threads, (1,)) as pool:
        list(pool.map(decode, files[: 64 * cores], chunksize=64))  # every process has begun
        begun = time.monotonic()
        list(pool.map(decode, files, chunksize=64))
        return len(files) / (time.monotonic() - begun)


def _pillow(file: Path) -> None:
    with Image.open(file) as picture:
        picture.load()


def _torchvision(file: Path) -> None:
    from torchvision.io import ImageReadMode, decode_jpeg

    content = torch.frombuffer(bytearray(file.read_bytes()), dtype=torch.uint8)
    decode_jpeg(content, mode=ImageReadMode.RGB)


def _kill_in_the_middle(row: DataRow, scratch: Path) -> None:
    child = os.fork()
    if child == 0:
        prepare(row, Reader(), Reader(), scratch)
        os._exit(0)
    time.sleep(20)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    kept = sum(len(file.read_bytes().splitlines()) - 1 for file in scratch.rglob("journal"))
    print(f"killed after 20 s: {kept:,} images are kept")


def _save(prepared: Prepared, folder: Path, book: Book) -> None:
    begun = time.monotonic()
    checkpoints.save(folder / "private.pt", prepared.private)
    checkpoints.save(
        folder / "public.pt", lineage.public_content(prepared.public, prepared.private)
    )
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    book.add("saving", time.monotonic() - begun, "s")
    book.add("preparation and saving, this process, resident", most, "MB")


def bounds() -> Validation:
    """What a made-up set of CelebA's size keeps."""
    return Validation(
        images_per_class=(24, 40),
        public_images=(1, FULL),
        pixel_mean=(0.02, 0.98),
        pixel_std=(0.01, 0.5),
        max_dark_share=0.01,
    )


def _check(row: DataRow, prepared: Prepared, book: Book) -> None:
    begun = time.monotonic()
    manifest = tables.read_manifest(to_csv(prepared.manifest))
    verdict = contract.check("full", row, bounds(), manifest, prepared.private, prepared.public)
    book.add("contract", time.monotonic() - begun, "s", rows=len(manifest), kept=verdict.success)
    print("\n".join(verdict.failures()), end="")


if __name__ == "__main__":
    main()
