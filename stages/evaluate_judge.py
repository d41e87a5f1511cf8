"""Scores one row of `judges` on real private images, and keeps what it measures attacks by."""

from __future__ import annotations

import csv
from pathlib import Path

from _scores import write_scores
from _stage import load_params, run, runtime
from trapmid.artifacts import checkpoints, judges, lineage
from trapmid.artifacts.lineage import Traced
from trapmid.config import params
from trapmid.config.evaluation import Checks, Evaluation
from trapmid.config.study import JudgeRow
from trapmid.data import manifest_people
from trapmid.scoring.described import Setup
from trapmid.scoring.judge import score_judge


def main(row: str) -> None:
    study = load_params()
    block = params.build(JudgeRow, params.section(study, f"judges.{row}"), f"judges.{row}")
    evaluation = params.build(Evaluation, params.section(study, "evaluation"), "evaluation")
    bounds = params.build(Checks, params.section(study, "checks"), "checks")
    rt = runtime(block.seed)
    private = checkpoints.load(Path(f"data/prepared/{block.data}/private.pt"))
    size = private["train_images"].shape[-1]
    opened = judges.open_weights(block.method, Path(block.model), size, rt)
    with Path(f"data/prepared/{block.data}/manifest.csv").open(encoding="utf-8") as manifest:
        known = judges.truth_of(
            opened, Path(block.truth), manifest_people.private(csv.DictReader(manifest))
        )
    file, digest = Path(f"data/features/judges/{row}.pt"), lineage.people_of(private)
    setup = Setup(evaluation, bounds, rt)
    scored = score_judge(row, opened, private, known, Traced(file, digest, None), setup)
    judges.save(file, opened, scored.reference, digest)
    write_scores(scored.scores, rt)


if __name__ == "__main__":
    run(main)
