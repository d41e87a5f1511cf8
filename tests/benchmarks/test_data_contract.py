"""The benchmark of the data contract runs, on fewer people and images; what it makes up is kept."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from trapmid.data import tables

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
def test_every_part_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    spec = importlib.util.spec_from_file_location("data_contract", FOLDER / "data_contract.py")
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "PEOPLE", 5)
    monkeypatch.setattr(script, "SPLITS", {"train": 140, "val": 10, "test": 10})
    for name in ("pixels", "near_twins"):  # it puts its own in their place
        monkeypatch.setattr(tables, name, getattr(tables, name))
    out = tmp_path / "rows.json"
    monkeypatch.setattr(sys, "argv", ["data_contract.py", "--public", "60", "--out", str(out)])
    script.main()
    assert "kept" in capsys.readouterr().out.splitlines()
    rows = {(row["name"], row["unit"]): row["value"] for row in json.loads(out.read_text())}
    parts = ("contract, pixels", "contract, near_twins", "contract")
    wanted = {(name, unit) for name in parts for unit in ("s", "s of CPU")}
    assert set(rows) == wanted | {("memory of the process", "MB")}
    assert rows["contract", "s of CPU"] > rows["contract, pixels", "s of CPU"] > 0
