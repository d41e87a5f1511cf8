"""Growth: exponents of known laws, a toy run, and the document against its file."""

from __future__ import annotations

import json
from pathlib import Path

import growth
import pytest

ROOT = Path(__file__).parents[2]


def test_the_exponent_of_a_power_is_that_power() -> None:
    amounts = [24, 64, 160, 400, 1000]
    for power in (0.0, 1.0, 1.5, 2.0):
        seconds = [0.003 * amount**power for amount in amounts]
        assert growth.exponent(amounts, seconds) == pytest.approx(power, abs=1e-9)


def test_a_fixed_cost_of_small_amounts_weighs_little() -> None:
    amounts = [1, 10, 100, 1000, 10000]
    seconds = [1 + 0.5 * amount**2 for amount in amounts]
    assert growth.exponent(amounts, seconds) == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize(("seconds", "least"), [((0.3, 0.2), 0.2), ((1.5, 0.2), 1.5)])
def test_a_long_run_is_made_once(seconds: tuple[float, ...], least: float) -> None:
    times = iter(seconds)
    assert growth._least(lambda amount: next(times), 3) == least
    assert len(list(times)) == (least > growth._LONG)


@pytest.mark.slow
def test_a_toy_run_has_every_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "STAGES", (4,) * 3)
    monkeypatch.setattr(growth, "_LONG", 0.0)  # nothing is made twice
    growth.main(["--quick", "--out", str(tmp_path / "a.json"), "--plot", str(tmp_path / "a.svg")])
    found = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert {one["axis"] for one in found} == {"identities", "pixels a side", "images", "stages"}
    assert all(min(one["seconds"]) > 0 for one in found)
    drawn = (tmp_path / "a.svg").read_text("utf-8")
    growth.main(["--draw", str(tmp_path / "a.json"), "--plot", str(tmp_path / "b.svg")])
    assert (tmp_path / "b.svg").read_text("utf-8") == drawn
    assert "KNN distance" in drawn


def test_the_document_has_what_was_measured() -> None:
    document = (ROOT / "docs/performance.md").read_text("utf-8")
    (file,) = (ROOT / "benchmarks/results").glob("*-growth-*.json")
    assert f"benchmarks/results/{file.name}" in document
    found = json.loads(file.read_text("utf-8"))
    assert growth.table(found) in document
    assert "(growth.svg)" in document
    drawn = (ROOT / "docs/growth.svg").read_text("utf-8")
    for one in found:
        assert f"{one['name'].replace('`', '')}: {one['exponent']:.2f}" in drawn
