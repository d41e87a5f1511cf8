"""The table of real people in docs/attacks.md is that of the committed measurements."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MADE, JUDGED = (
    ROOT / f"benchmarks/results/2026-11-27-nvidia-h100-80gb-hbm3-faces{part}.json"
    for part in ("", "-judged")
)
NAMES = {"GMI": "gmi", "PLG-MI": "plgmi", "PLG-MI+": "plus"}


def rows() -> dict[str, dict[str, float]]:
    found = [*json.loads(MADE.read_text("utf-8")), *json.loads(JUDGED.read_text("utf-8"))]
    return {row["name"]: row for row in found}


def lines() -> list[list[str]]:
    text = (ROOT / "docs/attacks.md").read_text(encoding="utf-8")
    table = text.partition("### Three minutes of a GPU")[2].partition("What it says")[0]
    found = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return found[1:]


def told(row: dict[str, float], *, whole: bool) -> list[str]:
    values = [row["value"], row["low"], row["high"]][: 3 if whole else 1]
    return [f"{100 * value:.1f}" for value in values]


@pytest.mark.parametrize("line", lines(), ids=lambda line: "-".join(line[:2]))
def test_a_line_is_as_measured(line: list[str]) -> None:
    measured, (name, target, *cells) = rows(), line
    run = f"{NAMES[name]}-{target}"
    wanted = [
        (f"faces/{target}: test accuracy", False),
        (f"faces/{run}-scores: AA-1", True),
        (f"judge/{run}: accepted", True),
        (f"judge/{run}: nearest template", False),
        (f"judge/{run}: head AA-1", True),
    ]
    for cell, (key, whole) in zip(cells, wanted, strict=True):
        assert re.findall(r"[\d.]+", cell) == told(measured[key], whole=whole), key


def test_every_attack_has_its_line() -> None:
    runs = {f"{NAMES[name]}-{target}" for name, target, *_ in lines()}
    judged = {key.removeprefix("judge/").partition(":")[0] for key in rows() if "judge/" in key}
    assert runs == judged - {"real"}
