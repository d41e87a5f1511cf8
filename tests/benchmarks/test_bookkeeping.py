"""The benchmark of DVC's books runs, and both ways do all of the study."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks/bookkeeping.py"


@pytest.mark.slow
def test_both_ways_are_counted(tmp_path: Path) -> None:
    out = tmp_path / "rows.json"
    command = [sys.executable, str(SCRIPT), "--stages", "7", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row["value"] for row in json.loads(out.read_text(encoding="utf-8"))}
    whats = ("from nothing", "nothing to do")
    assert set(rows) == {f"{way}, 7 stages, {what}" for way in ("dvc", "ours") for what in whats}
    assert all(value > 0 for value in rows.values())
    assert "7 run" in done.stdout and "7 unchanged" in done.stdout
