"""Scores one row of `targets`: test accuracy, trapdoor success and checks."""

from __future__ import annotations

import csv
from pathlib import Path

from _stage import load_params, run, runtime, write_record
from trapmid import checkpoints, classifiers, params
from trapmid.criteria import Checks, Evaluation
from trapmid.scoring.described import Setup
from trapmid.scoring.target import score_target
from trapmid.study import TargetRow


def main(row: str) -> None:
    study = load_params()
    block = params.build(TargetRow, params.section(study, f"targets.{row}"), f"targets.{row}")
    evaluation = params.build(Evaluation, params.section(study, "evaluation"), "evaluation")
    bounds = params.build(Checks, params.section(study, "checks"), "checks")
    rt = runtime(block.seed)
    loaded = classifiers.load(Path(f"models/targets/{row}/model.pt"), rt)
    prepared = Path(f"data/prepared/{block.data}")
    private = checkpoints.load(prepared / "private.pt")
    with (prepared / "manifest.csv").open(newline="", encoding="utf-8") as manifest:
        setup = Setup(evaluation, bounds, rt)
        scores = score_target(row, loaded, private, csv.DictReader(manifest), setup)
    write_record(Path(f"reports/scores/targets/{row}.json"), scores.to_json())


if __name__ == "__main__":
    run(main)
