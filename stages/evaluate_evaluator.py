"""Scores one row of `evaluators`, the evaluator itself, and describes the private images for it."""

from __future__ import annotations

from pathlib import Path

from _scores import write_scores
from _stage import load_params, run, runtime
from trapmid.artifacts import checkpoints, classifiers
from trapmid.artifacts.lineage import load_public
from trapmid.config import params
from trapmid.config.evaluation import Checks, Evaluation
from trapmid.config.study import TargetRow
from trapmid.scoring import references
from trapmid.scoring.described import Setup
from trapmid.scoring.evaluator import score_evaluator
from trapmid.scoring.recognition import Evaluator


def main(row: str) -> None:
    study = load_params()
    block = params.build(TargetRow, params.section(study, f"evaluators.{row}"), f"evaluators.{row}")
    evaluation = params.build(Evaluation, params.section(study, "evaluation"), "evaluation")
    bounds = params.build(Checks, params.section(study, "checks"), "checks")
    rt = runtime(block.seed)
    loaded = classifiers.load(Path(f"models/evaluators/{row}/model.pt"), rt)
    prepared = Path(f"data/prepared/{block.data}")
    private = checkpoints.load(prepared / "private.pt")
    public = load_public(prepared / "public.pt").images
    setup = Setup(evaluation, bounds, rt)
    reference = references.of_evaluator(loaded, private, public, setup)
    scores = score_evaluator(row, Evaluator(loaded, reference), private, setup)
    features = Path(f"data/features/evaluators/{row}.pt")
    references.save_evaluator(features, loaded, private, reference)
    write_scores(scores, rt)


if __name__ == "__main__":
    run(main)
