"""The table of two steps at true sizes: every line runs at toy size, and says what it took."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import highres_steps
import pytest
from highres_steps import Taken

SCRIPT = Path(highres_steps.__file__)


def test_a_line_has_seconds_and_memory() -> None:
    taken = {"a": Taken(7.4, 1.26), "b": Taken(15.2, 2.0, 9.8)}
    assert highres_steps.markdown(taken).splitlines()[2:] == [
        "| a | 7 | 1.3 |",
        "| b | 10, with networks and all 15 | 2.0 |",
    ]


def test_a_stage_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"prepare_data celeba_hd: .*params\.yaml"):
        highres_steps.stage(("prepare_data", "celeba_hd"), tmp_path)


@pytest.mark.slow
def test_every_line_is_measured(tmp_path: Path) -> None:
    out = tmp_path / "rows.json"
    command = [sys.executable, str(SCRIPT), "--toy", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text("utf-8"))
    assert [row["name"] for row in rows] == [*highres_steps.STAGES, *highres_steps.LINES]
    for row in rows:
        assert row["seconds"] > 0 and row["gigabytes"] > 0.1 and row["toy"] is True
        assert f"| {row['name']} | " in done.stdout
    searched = [row for row in rows if row["alone"] is not None]
    assert len(searched) == 2
    assert all(0 < row["alone"] < row["seconds"] for row in searched)


@pytest.mark.slow
def test_an_unknown_line_is_one_line() -> None:
    command = [sys.executable, str(SCRIPT), "--toy", "--only", "nothing like it"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stderr.startswith("highres_steps: --only: no line has that; there are ")
    assert done.stderr.count("\n") == 1
