"""How far a study's numbers move with the seed, the instruction set and the number of threads.

    python benchmarks/spread.py FILE.csv [--seeds 0 1 2 3 4] [--sets default avx2] [--threads 1 2]

For every combination it runs the stages of the profile `small` that matter (evaluator, the three
targets, the attacks of `ATTACK_RUNS`, their scores) in a copy of this checkout, on the prepared
faces of this checkout, and adds one line a seed to FILE.csv. Lines that are there already stay.
The gate's tolerances come from this table.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
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
TARGETS = ("none", "none_aug", "trapmid")
ATTACK_RUNS = ("plgmi-none", "plgmi-trapmid", "gmi-none", "gmi-none_aug", "gmi-trapmid")
KEYS = ("instructions", "threads", "seed")
FIELDS = (
    *KEYS,
    *(f"accuracy {target}" for target in TARGETS),
    "trapdoor success",
    *(f"AA-1 {attack_run}" for attack_run in ATTACK_RUNS),
    "minutes of training trapmid",
)


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
        return {tuple(row[name] for name in KEYS) for row in csv.DictReader(stream)}


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
        params = folder / "params.yaml"
        params.write_text(without_judges(params.read_text("utf-8")), encoding="utf-8")
        run("stages/train_target.py", "evaluators", "evaluator")
        run("stages/evaluate_evaluator.py", "evaluator")
        run("stages/train_prior.py", "public_priors", "gmi")
        for seed in seeds:
            for target in TARGETS:
                run("stages/train_target.py", "targets", f"{target}-{seed}")
                run("stages/evaluate_target.py", f"{target}-{seed}")
            for attack_run in ATTACK_RUNS:
                if attack_run.startswith("plgmi"):
                    run("stages/train_prior.py", "guided_priors", f"{attack_run}-{seed}")
                run("stages/invert.py", f"{attack_run}-{seed}")
                run("stages/evaluate.py", f"{attack_run}-{seed}")
            line = {"instructions": instructions, "threads": threads, "seed": seed}
            with file.open("a", newline="", encoding="utf-8") as stream:
                csv.DictWriter(stream, FIELDS).writerow(line | _scores(folder, seed))


def without_judges(params: str) -> str:
    """params.yaml whose attack runs are judged by the evaluator alone: nobody makes the others."""
    judge = r"(\b(?:verifier|identity|second_evaluator)): (?:data|models)/[^,}\s]+"
    return re.sub(judge, r"\1: weights/none", params)


def _scores(folder: Path, seed: int) -> dict[str, Any]:
    def scores(kind: str, row: str) -> dict[str, Any]:
        file = folder / f"reports/scores/{kind}/{row}.json"
        return json.loads(file.read_text(encoding="utf-8"))[0]

    stats = json.loads((folder / f"reports/training/targets/trapmid-{seed}/stats.json").read_text())
    targets = {target: scores("targets", f"{target}-{seed}") for target in TARGETS}
    aa1 = {name: scores("attack_runs", f"{name}-{seed}")["aa1"] for name in ATTACK_RUNS}
    return {
        **{f"accuracy {target}": found["test_accuracy"] for target, found in targets.items()},
        "trapdoor success": targets["trapmid"]["trapdoor_success"],
        **{f"AA-1 {name}": value for name, value in aa1.items()},
        "minutes of training trapmid": round(stats["seconds"] / 60, 2),
    }


if __name__ == "__main__":
    main()
