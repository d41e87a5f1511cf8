"""Decoded pixels outlive a kill, and nothing that is not whole is taken for whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from smooth import picture
from trapmid.data import decoding, listing
from trapmid.data.celeba import Reader
from trapmid.data.listing import DataError, Entry
from trapmid.data.pixels import Pixels, pixel_hash

COUNT, SIZE = 200, 8


class Counting(listing.Reader):
    """Notes what it decodes."""

    def __init__(self) -> None:
        self.seen: list[Path] = []

    def entries(self, root: Path) -> list[Entry]:
        return [Entry(file, None, f"list.txt:{i}") for i, file in enumerate(sorted(root.iterdir()))]

    def load(self, file: Path, size: int) -> Tensor:
        self.seen.append(file)
        if not file.is_file():
            raise DataError(f"{file}: no such image")
        return torch.full((3, size, size), int(file.read_text()), dtype=torch.uint8)


@pytest.fixture
def entries(tmp_path: Path) -> list[Entry]:
    """Pictures of one grey value: 0, 1, 2, ..."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for value in range(COUNT):
        (folder / f"{value:03d}.txt").write_text(str(value))
    return Counting().entries(folder)


def load(entries: list[Entry], folder: Path | None) -> tuple[Tensor, int]:
    """The images, and how many pictures were decoded for them."""
    reader = Counting()
    loaded = decoding.load(reader, entries, SIZE, "images", folder)
    assert loaded.hashes == [pixel_hash(image) for image in loaded.images]
    return loaded.images, len(reader.seen)


def expected() -> Tensor:
    return torch.arange(COUNT, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, SIZE, SIZE)


def test_in_memory_and_in_a_folder_it_is_the_same(entries: list[Entry], tmp_path: Path) -> None:
    for folder in (None, tmp_path / "kept"):
        images, decoded = load(entries, folder)
        assert decoded == COUNT and torch.equal(images, expected())
    images, decoded = load(entries, tmp_path / "kept")
    assert decoded == 0 and torch.equal(images, expected())


def test_after_a_wrong_picture_what_came_before_it_stays(
    entries: list[Entry], tmp_path: Path
) -> None:
    entries[150].file.rename(tmp_path / "away")
    with pytest.raises(DataError, match=r"150\.txt: no such image \(list\.txt:150\)$"):
        load(entries, tmp_path / "kept")
    (tmp_path / "away").rename(entries[150].file)
    images, decoded = load(entries, tmp_path / "kept")
    assert 50 <= decoded <= COUNT - 2 * decoding._PART  # two whole parts came before
    assert torch.equal(images, expected())


def kept(entries: list[Entry], folder: Path) -> Pixels:
    load(entries, folder)
    return Pixels(entries, SIZE, folder)


def test_an_exchanged_picture_is_decoded_again(entries: list[Entry], tmp_path: Path) -> None:
    kept(entries, tmp_path / "kept")
    entries[7].file.write_text("77")
    images, decoded = load(entries, tmp_path / "kept")
    assert decoded == 1 and images[7].unique().tolist() == [77]


def test_pixels_that_never_reached_the_disk_are_decoded_again(
    entries: list[Entry], tmp_path: Path
) -> None:
    """As after a power cut: the journal is ahead of the pixels."""
    kept(entries, tmp_path / "kept").images[[3, 100]] = 0
    images, decoded = load(entries, tmp_path / "kept")
    assert decoded == 2 and torch.equal(images, expected())


@pytest.mark.parametrize("cut", [1, 30, 66])
def test_a_line_that_was_cut_off_counts_for_nothing(
    entries: list[Entry], tmp_path: Path, cut: int
) -> None:
    kept(entries, tmp_path / "kept")
    journal = tmp_path / "kept" / "journal"
    journal.write_bytes(journal.read_bytes()[:-cut] if cut > 1 else journal.read_bytes() + b"5,1")
    images, decoded = load(entries, tmp_path / "kept")
    assert decoded == (cut > 1) and torch.equal(images, expected())


@pytest.mark.parametrize("change", ["order", "size", "journal"])
def test_pixels_of_other_pictures_are_not_used(
    entries: list[Entry], tmp_path: Path, change: str
) -> None:
    kept(entries, tmp_path / "kept")
    if change == "journal":
        (tmp_path / "kept" / "journal").write_bytes(b"\xff\xfe nonsense")
    order = entries[::-1] if change == "order" else entries
    reader = Counting()
    size = SIZE + 1 if change == "size" else SIZE
    loaded = decoding.load(reader, order, size, "images", tmp_path / "kept")
    assert len(reader.seen) == COUNT
    assert loaded.images[0].unique().tolist() == [COUNT - 1 if change == "order" else 0]


def test_a_disk_without_room_is_one_line(
    entries: list[Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"pixels: cannot be written: No space left on device"):
        load(entries, tmp_path / "kept")


PROGRAM = """
import sys, time
from pathlib import Path
from trapmid.data import decoding
from trapmid.data.celeba import Reader
decoding._MANY = 1
class Slow(Reader):
    def load(self, file, size):
        time.sleep(0.005)
        return super().load(file, size)
if __name__ == "__main__":
    raw, kept = map(Path, sys.argv[1:])
    reader = Slow()
    loaded = decoding.load(reader, reader.entries(raw), 16, "images", kept)
    print(sum(image.sum().item() for image in loaded.images))
"""


@pytest.mark.slow
def test_processes_give_the_same_and_end_with_their_parent(tmp_path: Path) -> None:
    """The parent is killed in the middle; no process stays, and the next run goes on."""
    root = tmp_path / "celeba"
    (root / "img_align_celeba").mkdir(parents=True)
    names = [f"{number:06d}.jpg" for number in range(1, 1281)]
    for seed in range(8):
        picture(178, 218, seed).save(root / "img_align_celeba" / names[seed])
    for index, name in enumerate(names[8:]):
        os.link(root / "img_align_celeba" / names[index % 8], root / "img_align_celeba" / name)
    (root / "identity_CelebA.txt").write_text("".join(f"{name} 1\n" for name in names))
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    command = [sys.executable, str(script), str(root), str(tmp_path / "kept")]

    first = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    journal = tmp_path / "kept" / "journal"
    _wait(lambda: journal.exists() and len(journal.read_bytes().splitlines()) > 1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    _wait(lambda: not _alive(first.pid))
    done = len(journal.read_bytes().splitlines()) - 1
    assert 0 < done < len(names)

    second = subprocess.run(command, capture_output=True, text=True, check=True)
    alone = decoding.load(Reader(), Reader().entries(root), 16, "images", None)
    assert int(second.stdout) == sum(int(image.sum()) for image in alone.images)
    assert f"{done}/{len(names)}" in second.stderr  # where the bar begins


def _wait(ready: object, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not ready():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


def _alive(group: int) -> bool:
    """Whether a process of the group runs."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
