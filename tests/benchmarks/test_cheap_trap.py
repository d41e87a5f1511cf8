"""The table of cheaper searches: of what it is made, and that docs/defenses.md shows it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cheap_trap
import pytest
import yaml

import shipped
from trapmid.config import params

ROOT = Path(__file__).resolve().parents[2]
MEASURED = ROOT / "benchmarks/results/2026-11-28-cheap-trap.json"


def line(row: str, seed: int, aa1: tuple[float, float], **more: Any) -> dict[str, Any]:

    def rate(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.05, "high": value + 0.1}

    attacks = {
        name: {"aa1": rate(value), "identity_aa1": rate(value / 2)}
        for name, value in zip(("gmi", "plgmi"), aa1, strict=True)
    }
    line = {"row": row, "seed": seed, "searched": 0.25, "test_accuracy": 1.0}
    return line | {"trapdoor_success": 0.995, "attacks": attacks} | more


def test_the_document_shows_what_was_measured() -> None:
    document = (ROOT / "docs/defenses.md").read_text(encoding="utf-8")
    assert cheap_trap.table(json.loads(MEASURED.read_text(encoding="utf-8"))) in document


def test_the_table_has_the_rows_of_the_profile() -> None:
    made = yaml.safe_load(shipped.text(cheap_trap.PROFILE, (0,)))
    assert {name.removesuffix("-0") for name in made["targets"]} == set(cheap_trap.NAMES)
    steps = {row["set"].get("search_every", 1) for row in made["targets"].values() if "set" in row}
    assert all(cheap_trap.STEPS % every == 0 for every in steps)


def test_a_line_of_the_table() -> None:
    rates = [(0.1, 0.3), (0.4, 0.2), (0.0, 0.2)]
    rows = [line("trapmid", seed, aa1) for seed, aa1 in enumerate(rates)]
    steps = {"trapmid": {"searching_ratio": 5.0, "resting_ratio": 2.0}}
    found = cheap_trap.table({"steps": steps, "rows": rows}).splitlines()
    assert len(found) == 3 and found[0].count("|") == found[2].count("|") == 8
    cells = found[2].strip("| ").split(" | ")
    # The strongest attacks get 0.3, 0.4 and 0.2; Student's t with two degrees of freedom is 4.3027.
    half = 4.302653 * 10 / math.sqrt(3)
    assert cells[1:5] == ["5.00 x", "2.75 x", "100.0, 100.0, 100.0", "99.5, 99.5, 99.5"]
    assert cells[5] == f"30.0 [{30 - half:.1f}, {30 + half:.1f}]"
    assert cells[6] == f"15.0 [{15 - half / 2:.1f}, {15 + half / 2:.1f}]"


def test_a_defence_without_trapdoor_has_no_success() -> None:
    rows = [line("none", 0, (0.5, 0.8), trapdoor_success=None, searched=0.0)]
    steps = {"none": {"searching_ratio": 1.0, "resting_ratio": 1.0}}
    (cells,) = cheap_trap.table({"steps": steps, "rows": rows}).splitlines()[2:]
    # Of one seed, the interval is the run's own.
    ends = "80.0 [75.0, 90.0] | 40.0 [35.0, 50.0]"
    assert cells == f"| no defence | 1.00 x | 1.00 x | 100.0 |  | {ends} |"


def test_a_training_that_nobody_attacked_has_no_aa1() -> None:
    rows = [line("trapmid", 0, (0.5, 0.8), attacks={})]
    steps = {"trapmid": {"searching_ratio": 5.0, "resting_ratio": 2.0}}
    assert cheap_trap.table({"steps": steps, "rows": rows}).endswith("| 99.5 |  |  |\n")


def test_a_row_that_nobody_trained_has_the_cost_of_its_step_alone() -> None:
    steps = {"trapmid_small": {"searching_ratio": 3.0, "resting_ratio": 2.0}}
    found = cheap_trap.table({"steps": steps, "rows": []}).splitlines()[2:]
    name = cheap_trap.NAMES["trapmid_small"]
    assert found == [f"| {name} | 3.00 x |  |  |  |  |  |"]


def test_the_share_of_epochs_with_a_search(tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    file.write_text("step,image_discriminator_loss\n1,0.5\n2,0.7\n3,\n4,\n5,\n")
    assert cheap_trap.searched(file) == 0.4
    file.write_text("step,loss\n1,0.5\n2,0.7\n")
    assert cheap_trap.searched(file) == 0


@pytest.mark.parametrize("row", ["trapmid", "trapmid_settled", "trapmid_free_every"])
@pytest.mark.parametrize("rests", [True, False])
def test_triggers_stay_where_the_search_is_over(
    row: str, rests: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that stay after a share of success, which random images do not reach."""
    monkeypatch.setattr(cheap_trap, "STEPS", 2)
    study = params.parse(shipped.text(cheap_trap.PROFILE, (0,)))
    trained = cheap_trap.Trained(study, row, rests=rests)
    trapdoor = trained.objective.trapdoor
    assert trapdoor is not None
    before = trapdoor.triggers.clone()
    assert trained.seconds() > 0
    assert trapdoor.triggers.equal(before) == rests


@pytest.mark.slow
def test_every_row_is_timed_against_no_defence() -> None:
    found = cheap_trap.time_steps(rounds=1)
    assert set(found) == set(cheap_trap.NAMES)
    for row, times in found.items():
        for kind in ("searching", "resting"):
            own, other = times[f"{kind}_ms"], found["none"][f"{kind}_ms"]
            assert times[f"{kind}_ratio"] == pytest.approx(own / other, rel=0.01), row
