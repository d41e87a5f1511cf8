"""What docs/performance.md says of a CPU, against the files of results that it names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from bench import rows
from bench.rows import KEYS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs/performance.md").read_text("utf-8")
SECTION = DOCUMENT.partition("\n# On a CPU\n")[2]
NAMED = re.findall(r"benchmarks/results/[\w.-]*(?:cpu|plan)[\w.-]*\.json", SECTION)


def content(word: str) -> list[dict[str, Any]]:
    (file,) = {name for name in NAMED if word in name}
    found: list[dict[str, Any]] = json.loads((ROOT / file).read_text("utf-8"))
    return found


@pytest.mark.parametrize("machine", ["cpu-avx2-idle", "cpu-avx512-beside"])
def test_the_table_of_paths_is_what_was_measured(machine: str) -> None:
    found = content(machine)
    assert len(found) > 15
    assert all(set(KEYS) <= one.keys() for one in found)
    assert rows.markdown(found) in SECTION


@pytest.mark.parametrize("machine", ["cpu-avx2-idle", "cpu-avx512-beside"])
def test_the_machine_is_the_one_that_was_measured(machine: str) -> None:
    one = content(machine)[0]
    assert one["processor"].split(",")[0] in SECTION
    for number in (one["matrix_gflops"]["fp32"], one["copy_gbytes"]):
        assert f"{number:.3g} G" in SECTION


def test_the_plan_is_within_thirty_percent_of_what_was_measured() -> None:
    found = content("plan")
    for one in found:
        ratio = one["planned_s"] / one["took_s"]
        assert 0.7 < ratio < 1.3, one["name"]
        line = f"| {one['name']} | {one['planned_s']:.0f} | {one['took_s']:.0f} | {ratio:.2f} |"
        assert line in SECTION
    planned, took = (sum(one[key] for one in found) for key in ("planned_s", "took_s"))
    assert f"| in all | {planned:.0f} | {took:.0f} | {planned / took:.2f} |" in SECTION
    assert planned / took == pytest.approx(1, abs=0.3)


def test_constants_that_were_taken_from_a_run_are_not_shown_as_predictions() -> None:
    """They are named below the table."""
    (sentence,) = [
        line for line in SECTION.splitlines() if "constants" in line and "`code`" in line
    ]
    for one in content("plan"):
        assert (f"`{one['name']}`" in sentence) == one["calibrated"]
