"""Scores one row of `targets`: test accuracy, trapdoor success, checks, and its signature."""

from __future__ import annotations

import csv
from pathlib import Path

from _scores import write_scores
from _stage import load_params, run, runtime
from trapmid.artifacts import checkpoints, classifiers
from trapmid.artifacts.lineage import load_public
from trapmid.config import params
from trapmid.config.evaluation import Checks, Evaluation
from trapmid.config.study import ClassifierTraining, TargetRow
from trapmid.scoring import references
from trapmid.scoring.activity import Training
from trapmid.scoring.described import Setup
from trapmid.scoring.target import score_target


def main(row: str) -> None:
    study = load_params()
    block = params.build(TargetRow, params.section(study, f"targets.{row}"), f"targets.{row}")
    evaluation = params.build(Evaluation, params.section(study, "evaluation"), "evaluation")
    bounds = params.build(Checks, params.section(study, "checks"), "checks")
    place = f"classifier_training.{block.training}"
    plan = params.build(ClassifierTraining, params.section(study, place), place)
    training = Training(block.method, params.of_row(study, "targets", row).plain(), plan.epochs)
    rt = runtime(block.seed)
    loaded = classifiers.load(Path(f"models/targets/{row}/model.pt"), rt)
    prepared = Path(f"data/prepared/{block.data}")
    private = checkpoints.load(prepared / "private.pt")
    public = load_public(prepared / "public.pt").images
    setup = Setup(evaluation, bounds, rt)
    reference = references.of_target(loaded, private, public, setup)
    with (prepared / "manifest.csv").open(newline="", encoding="utf-8") as manifest:
        people = csv.DictReader(manifest)
        scores = score_target(row, loaded, private, people, reference, setup, training)
    features = Path(f"data/features/targets/{row}.pt")
    references.save_target(features, loaded, private, reference)
    write_scores(scores, rt)


if __name__ == "__main__":
    run(main)
