"""What the books read once, and what stops a stage in one line; test_session has the rest."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from dvc.exceptions import DvcException

from trapmid.engine import bookkeeping
from trapmid.engine.bookkeeping import BookkeepingError


def test_a_file_of_parameters_is_parsed_once_a_version(tmp_path: Path) -> None:
    """Another time or another size is another version, whichever alone has changed."""
    parsed: list[str] = []

    def load(path: str, fs: Any, **options: Any) -> str:
        parsed.append(Path(path).read_text(encoding="utf-8"))
        return parsed[-1]

    read = bookkeeping._once_per_version(load)
    file, fs = tmp_path / "params.yaml", object()
    file.write_text("a: 1", encoding="utf-8")
    os.utime(file, ns=(1, 1))
    assert [read(str(file), fs) for _ in range(3)] == ["a: 1"] * 3 and len(parsed) == 1
    file.write_text("a: 2", encoding="utf-8")  # as long as before
    os.utime(file, ns=(2, 2))
    assert read(str(file), fs) == "a: 2"
    file.write_text("a: 10", encoding="utf-8")  # at the same time
    os.utime(file, ns=(2, 2))
    assert read(str(file), fs) == "a: 10" and len(parsed) == 3
    assert read(str(file), fs, other=True) == "a: 10" and len(parsed) == 4  # options: anew
    assert bookkeeping._once_per_version(read) is read  # a second study in the process


def test_a_file_that_is_not_there_is_left_to_dvc(tmp_path: Path) -> None:
    def load(path: str, fs: Any, **options: Any) -> Any:
        raise FileNotFoundError(path)

    with pytest.raises(FileNotFoundError):
        bookkeeping._once_per_version(load)(str(tmp_path / "none"), object())


@pytest.mark.parametrize(
    "error",
    [DvcException("first\n  second"), OSError("first\n  second"), ValueError("first second")],
)
def test_what_stops_a_stage_is_one_line(error: Exception) -> None:
    with pytest.raises(BookkeepingError, match=r"^first second$"), bookkeeping._one_line():
        raise error


def test_a_full_disk_is_named_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    books = object.__new__(bookkeeping.Books)
    books._lock = tmp_path / "dvc.lock"
    books._lock.write_text("before", encoding="utf-8")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*dvc\.lock'"):
        books._write("after")
    assert [one.name for one in tmp_path.iterdir()] == ["dvc.lock"]
    assert books._lock.read_text(encoding="utf-8") == "before"


def test_what_is_no_fault_of_a_stage_passes() -> None:
    with pytest.raises(KeyError), bookkeeping._one_line():
        raise KeyError("a mistake of ours")
