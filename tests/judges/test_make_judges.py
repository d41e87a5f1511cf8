"""`make judges` at toy size, from nothing: its script leaves both judges and nothing else."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from toy import runtime
from trapmid.artifacts import judges
from trapmid.types import Reader

SCRIPT = Path(__file__).parents[2] / "weights" / "make_judges.py"


@pytest.mark.slow
def test_both_judges_are_made_from_drawn_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("make_judges", SCRIPT)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for name, small in (("PEOPLE", 6), ("HELD_OUT", 3), ("IMAGES", 2), ("STEPS", 2)):
        monkeypatch.setattr(script, name, small)
    script.main(tmp_path / "made")
    assert {file.name for file in (tmp_path / "made").iterdir()} == {"portrait.pt", "verifier.pt"}
    for method in ("portrait", "verifier"):
        opened = judges.open_weights(method, tmp_path / "made" / f"{method}.pt", 32, runtime())
        whom = opened.learnt_from
        assert whom is not None and set(whom.numbers) == set(range(1_000_000, 1_000_009))
        if isinstance(opened.judge, Reader):
            assert opened.judge.reliability.ne(1).any()  # it was calibrated
