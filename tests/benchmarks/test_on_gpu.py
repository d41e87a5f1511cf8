"""The script for a borrowed GPU: every part runs, goes on where it was cut off, and says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    *("machine", "tests", "published", "styles", "training", "priors", "searches"),
    *("metrics", "agreement", "variants"),
)
STUDY = ("none", "trapmid", "none_aug", "evaluator")  # classifiers of the part `faces`


def on_gpu(out: Path, *words: str, **environment: str) -> str:
    """What the script prints."""
    command = [str(ROOT / "benchmarks/on_gpu.sh"), *words, "--out", str(out)]
    env = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def results(out: Path) -> list[dict[str, Any]]:
    (file,) = out.glob("*.json")
    rows: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))
    return rows


def blocked(folder: Path, *packages: str) -> str:
    """A PYTHONPATH on which these packages cannot be imported."""
    for package in packages:
        module = folder / "blocked" / f"{package}.py"
        module.parent.mkdir(exist_ok=True)
        words = f"raise ModuleNotFoundError('No module named {package}', name='{package}')\n"
        module.write_text(words, encoding="utf-8")
    return str(folder / "blocked")


@pytest.mark.slow
def test_the_second_call_makes_what_is_missing_and_no_more(tmp_path: Path) -> None:
    out = tmp_path / "out"
    # Nothing of it may be needed: a bare machine has none.
    missing = blocked(tmp_path, "dvc", "mlflow", "opacus", "great_expectations", "cleanfid")
    first = on_gpu(out, "--toy", "--seconds", "800", PYTHONPATH=missing)
    rows = results(out)
    assert not [row for row in rows if row.get("failed")], first
    assert {row["measurement"].partition("/")[0] for row in rows} == {*PARTS, "faces"}
    for name in STUDY:  # toy people are colours: told apart or not, the share has its interval
        row = next(row for row in rows if row["name"] == f"faces/{name}: test accuracy")
        assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1
    made = {f.stem for f in out.glob("*.pt")}
    assert made == {f"{a}-{t}" for a in ("gmi", "plgmi") for t in STUDY[:3]} | {"plus-trapmid"}
    scored = {row["measurement"] for row in rows if row["name"].endswith("AA-1")}
    assert scored == {f"faces/{name}-scores" for name in made}
    assert all(row["toy"] is True and row["device"].startswith("cpu") for row in rows)
    for row in rows:
        assert {"name", "value", "unit", "torch", "precision", "date", "code"} <= row.keys()
    # A part of the kept rows is lost; the file of results still has them, but for one measurement.
    for kept in (out / "parts").glob("*/*.json"):
        kept.unlink()
    (file,) = out.glob("*.json")
    lost = "metrics/knn"
    file.write_text(json.dumps([row for row in rows if row["measurement"] != lost]), "utf-8")
    on_gpu(out, "--toy", "--seconds", "800", PYTHONPATH=missing)
    (log,) = out.glob("*.log")
    second = log.read_text("utf-8").split("--- machine")[2]
    measurements = {row["measurement"] for row in rows}
    there = {line.partition(":")[0] for line in second.splitlines() if "there already" in line}
    phases = {name for name in measurements if name.startswith("faces/")} - {"faces/study"}
    assert there == measurements - phases - {lost}
    after = results(out)
    dates = {row["name"]: row["date"] for row in rows}
    assert {row["name"] for row in after} == dates.keys()
    assert all(row["date"] == dates[row["name"]] for row in after if row["measurement"] != lost)


@pytest.mark.slow
def test_what_a_missing_package_leaves_out_is_said(tmp_path: Path) -> None:
    """Without ruamel.yaml no parameters can be read; the machine is measured all the same."""
    folder = tmp_path / "blocked" / "ruamel"
    folder.mkdir(parents=True)
    words = "raise ModuleNotFoundError(\"No module named 'ruamel.yaml'\", name='ruamel.yaml')\n"
    (folder / "__init__.py").write_text(words, encoding="utf-8")
    out = tmp_path / "out"
    environment = {"PYTHONPATH": str(tmp_path / "blocked")}
    on_gpu(out, "--toy", "--parts", "machine", "metrics", **environment)
    rows = results(out)
    failed = [row for row in rows if row.get("failed")]
    assert [row["measurement"] for row in failed] == ["metrics/all"]
    assert failed[0]["note"] == "left out: No module named 'ruamel.yaml'"
    assert any(row["name"] == "machine/rates: rate fp32" and row["value"] > 0 for row in rows)
    # With it, the failure is gone.
    on_gpu(out, "--toy", "--parts", "metrics")
    assert not [row for row in results(out) if row.get("failed")]


@pytest.mark.slow
def test_a_part_that_takes_too_long_costs_no_other(tmp_path: Path) -> None:
    on_gpu(tmp_path, "--toy", "--parts", "machine")  # in its own time: a busy machine is slow
    text = on_gpu(tmp_path, "--toy", "--parts", "training", "--seconds", "6")
    assert "training: cut off after" in text or "training: no time left" in text
    assert any(row["name"] == "machine/rates: rate fp32" for row in results(tmp_path))
    assert "results:" in text


@pytest.mark.slow
def test_without_a_gpu_it_refuses_in_one_line(tmp_path: Path) -> None:
    command = [str(ROOT / "benchmarks/on_gpu.sh"), "--out", str(tmp_path)]
    env = {**os.environ, "PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert done.stderr == (
        "on_gpu: error: no CUDA device here; --toy tries every part on the CPU\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--prepare", "--faces", "nowhere"], ["--judge", "nowhere"]])
def test_a_folder_that_is_not_there_is_one_line(words: list[str], tmp_path: Path) -> None:
    command = [str(ROOT / "benchmarks/on_gpu.sh"), *words, "--out", str(tmp_path)]
    env = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stderr.startswith("on_gpu: error: nowhere: ") and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
