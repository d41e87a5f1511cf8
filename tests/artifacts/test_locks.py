"""Locks that go with their process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trapmid.artifacts import locks

HOLD = """
import sys, time
from pathlib import Path
from trapmid.artifacts import locks
with locks.only_one(Path(sys.argv[1]), "row"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_is_named_until_it_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "row.lock"
    words = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == "held\n"
            assert locks.held(file.parent) == ["row"]
            message = f"^row: another process is at work on it \\(pid {other.pid}\\)$"
            for _ in range(2):  # the first refusal must leave the number
                with pytest.raises(BlockingIOError, match=message), locks.only_one(file, "row"):
                    pass
        finally:
            other.kill()
    assert locks.held(file.parent) == []
    with locks.only_one(file, "row"):
        assert locks.held(file.parent) == ["row"]


def test_an_older_and_longer_number_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "row.lock"
    file.write_text("123456789012345\n", encoding="utf-8")
    with locks.only_one(file, "row"):
        assert len(file.read_text(encoding="utf-8")) < 12


def test_other_rows_are_free(tmp_path: Path) -> None:
    with locks.only_one(tmp_path / "a.lock", "a"), locks.only_one(tmp_path / "b.lock", "b"):
        assert locks.held(tmp_path) == ["a", "b"]
    assert locks.held(tmp_path / "missing") == []
