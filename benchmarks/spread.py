"""How far a study's numbers move with the seed, the instruction set and the number of threads.

    python benchmarks/spread.py FILE.csv [--seeds 0 1 2 3 4] [--sets default avx2] [--threads 1 2]

For every combination it runs the stages of the profile `small` that matter (evaluator, undefended
and Trap-MID target, PLG-MI on both, their scores) in a copy of this checkout, on the prepared faces
of this checkout, and adds one line a seed to FILE.csv. Lines that are there already stay.
The gate's tolerances come from this table.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PREPARED = Path("data/prepared")
SETS = {"default": {}, "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}}
COPIED = ("src", "stages", "profiles", "weights", "params.yaml", "dvc.yaml", "pyproject.toml")
FIELDS = (
    "instructions", "threads", "seed", "accuracy_none", "accuracy_trapmid",
    "trapdoor_success", "aa1_none", "aa1_trapmid", "minutes_trapmid",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--sets", choices=SETS, nargs="+", default=list(SETS))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    words = parser.parse_args()
    if not (ROOT / PREPARED / "faces/private.pt").is_file():
        sys.exit(f"spread: {PREPARED}/faces: missing; `dvc repro` makes it")
    done = _read(words.file)
    for instructions, threads in product(words.sets, words.threads):
        missing = [s for s in words.seeds if (instructions, str(threads), str(s)) not in done]
        if missing:
            _measure(words.file, instructions, threads, missing)


def _read(file: Path) -> set[tuple[str, ...]]:
    if not file.exists():
        file.write_text(",".join(FIELDS) + "\n", encoding="utf-8")
    with file.open(newline="", encoding="utf-8") as stream:
        return {tuple(row[name] for name in FIELDS[:3]) for row in csv.DictReader(stream)}


def _measure(file: Path, instructions: str, threads: int, seeds: list[int]) -> None:
    """Adds a line for every seed, each as soon as it is known."""
    with tempfile.TemporaryDirectory(prefix="spread-") as name:
        folder = Path(name)
        for part in COPIED:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, folder / part)
        (folder / "data").mkdir()
        (folder / PREPARED).symlink_to(ROOT / PREPARED)
        environment = {
            **os.environ,
            **SETS[instructions],
            "OMP_NUM_THREADS": str(threads),
            "PYTHONPATH": str(folder / "src"),
        }

        def run(*words: str) -> None:
            subprocess.run(  # this project's own stages
                [sys.executable, *words], cwd=folder, env=environment, check=True
            )

        run("-m", "trapmid.cli", "profile", "small", "--force", "--seeds", *map(str, seeds))
        run("stages/train_target.py", "evaluators", "evaluator")
        run("stages/evaluate_evaluator.py", "evaluator")
        for seed in seeds:
            for target in (f"none-{seed}", f"trapmid-{seed}"):
                run("stages/train_target.py", "targets", target)
                run("stages/evaluate_target.py", target)
                run("stages/train_prior.py", "guided_priors", f"plgmi-{target}")
                run("stages/invert.py", f"plgmi-{target}")
                run("stages/evaluate.py", f"plgmi-{target}")
            line = {"instructions": instructions, "threads": threads, "seed": seed}
            with file.open("a", newline="", encoding="utf-8") as stream:
                csv.DictWriter(stream, FIELDS).writerow(line | _scores(folder, seed))


def _scores(folder: Path, seed: int) -> dict[str, Any]:
    def scores(kind: str, row: str) -> dict[str, Any]:
        file = folder / f"reports/scores/{kind}/{row}.json"
        return json.loads(file.read_text(encoding="utf-8"))[0]

    stats = json.loads((folder / f"reports/training/targets/trapmid-{seed}/stats.json").read_text())
    none, trapmid = scores("targets", f"none-{seed}"), scores("targets", f"trapmid-{seed}")
    return {
        "accuracy_none": none["test_accuracy"],
        "accuracy_trapmid": trapmid["test_accuracy"],
        "trapdoor_success": trapmid["trapdoor_success"],
        "aa1_none": scores("attack_runs", f"plgmi-none-{seed}")["aa1"],
        "aa1_trapmid": scores("attack_runs", f"plgmi-trapmid-{seed}")["aa1"],
        "minutes_trapmid": round(stats["seconds"] / 60, 2),
    }


if __name__ == "__main__":
    main()
