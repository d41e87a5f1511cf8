"""What keeping DVC's books costs: `trapmid run` against `dvc repro`, on commands that do nothing.

    python benchmarks/bookkeeping.py [--stages 45] [--only ours] [--out FILE.json]

A study of so many stages is made in a temporary folder: rows of training, attack and score over one
stage of code, with params.yaml of the rows, as in dvc.yaml. Each way runs it from nothing and then
again. Counted is the CPU time of the process that keeps the books alone, not that of the commands;
one command at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

_DVC_YAML = """\
stages:
  code:
    cmd: echo code > digest
    deps: [source]
    outs: [digest]
  train:
    foreach: ${rows}
    do:
      cmd: echo ${key} ${item.lr} > model-${key}
      deps: [digest]
      params: ["rows.${key}"]
      outs: ["model-${key}"]
  attack:
    foreach: ${rows}
    do:
      cmd: cat model-${key} > images-${key}
      deps: [digest, "model-${key}"]
      params: ["rows.${key}"]
      outs: ["images-${key}"]
  score:
    foreach: ${rows}
    do:
      cmd: echo "[1]" > score-${key}.json
      deps: [digest, "images-${key}", "model-${key}"]
      params: ["rows.${key}"]
      metrics: [{"score-${key}.json": {cache: false}}]
"""
_WAYS = {
    "dvc": "from dvc.cli import main; main(['repro', '--quiet'])",
    "ours": (
        "from pathlib import Path; from trapmid.engine import session; "
        "session.run(Path(), session.Plan())"
    ),
}
TIMES = ("from nothing", "nothing to do")
_COUNTED = "; import resource as r; u = r.getrusage(r.RUSAGE_SELF); print(u.ru_utime + u.ru_stime)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stages", type=int, default=45, help="about; 3 a row, and one")
    parser.add_argument("--only", choices=_WAYS, help="one way alone: DVC takes long at 400")
    parser.add_argument("--out", type=Path, help="write the rows here, too")
    words = parser.parse_args()
    rows = [row for way in ([words.only] if words.only else _WAYS) for row in of(way, words.stages)]
    for row in rows:
        print(f"{row['name']}: {row['value']} {row['unit']}")
    if words.out:
        words.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def of(way: str, stages: int) -> list[dict[str, Any]]:
    """The rows of a study of about so many stages: `TIMES` by "ours" or "dvc"."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        count = _make(root, _rows(stages))
        took = {what: _cpu(root, way) for what in TIMES}
    common = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "dvc": version("dvc"), "stages": count}
    return [
        {"name": f"{way}, {count} stages, {what}", "value": round(value, 3), "unit": "s of CPU"}
        | common
        for what, value in took.items()
    ]


def after_ours(stages: int) -> dict[str, float]:
    """Seconds of `TIMES` by ours, and under "dvc" those of `dvc repro` with nothing to do then."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _make(root, _rows(stages))
        took = {what: _cpu(root, "ours") for what in TIMES}
        return took | {"dvc": _cpu(root, "dvc")}


def made(stages: int) -> int:
    """Of how many stages a study of about `stages` is: one, and three a row."""
    return 1 + 3 * _rows(stages)


def _rows(stages: int) -> int:
    return max(1, (stages - 1) // 3)


def _make(root: Path, rows: int) -> int:
    """Writes the study; how many stages it has."""
    (root / "dvc.yaml").write_text(_DVC_YAML, encoding="utf-8")
    (root / "source").write_text("1\n", encoding="utf-8")
    values = ", ".join(f"momentum_{n}: 0.{n}" for n in range(1, 9))
    lines = (f"  row-{n}: {{lr: {n}, {values}}}\n" for n in range(rows))
    (root / "params.yaml").write_text("rows:\n" + "".join(lines), encoding="utf-8")
    for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=root, check=True, env=_environment())
    return 1 + 3 * rows


def _cpu(root: Path, way: str) -> float:
    """Seconds of CPU of the process that keeps the books, its start included."""
    command = [sys.executable, "-c", _WAYS[way] + _COUNTED]
    done = subprocess.run(
        command, cwd=root, check=True, text=True, stdout=subprocess.PIPE, env=_environment()
    )
    *said, seconds = done.stdout.splitlines()
    print(*said[-1:], sep="\n")  # how many stages ran
    return float(seconds)


def _environment() -> dict[str, str]:
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": binaries, "DVC_NO_ANALYTICS": "1", "SHELL": "/bin/sh"}


if __name__ == "__main__":
    main()
