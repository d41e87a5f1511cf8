"""Scores one row of `evaluators`: the judge itself, and the ceiling of the results table."""

from __future__ import annotations

from pathlib import Path

from _stage import load_params, run, runtime, write_record
from trapmid import checkpoints, classifiers, params, scoring
from trapmid.criteria import Checks, Evaluation
from trapmid.study import TargetRow


def main(row: str) -> None:
    study = load_params()
    block = params.build(TargetRow, params.section(study, f"evaluators.{row}"), f"evaluators.{row}")
    evaluation = params.build(Evaluation, params.section(study, "evaluation"), "evaluation")
    bounds = params.build(Checks, params.section(study, "checks"), "checks")
    rt = runtime(block.seed)
    loaded = classifiers.load(Path(f"models/evaluators/{row}/model.pt"), rt)
    private = checkpoints.load(Path(f"data/prepared/{block.data}/private.pt"))
    scores = scoring.score_evaluator(row, loaded, private, evaluation, bounds, rt)
    write_record(Path(f"reports/scores/evaluators/{row}.json"), scores)


if __name__ == "__main__":
    run(main)
