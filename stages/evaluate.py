"""Scores one row of `cells`: an attack on a target, judged by an evaluator."""

from __future__ import annotations

from pathlib import Path

from _stage import load_params, run, runtime, write_record
from trapmid import checkpoints, classifiers, knowledge, params, scoring
from trapmid.criteria import Checks, Evaluation
from trapmid.study import CellRow


def main(row: str) -> None:
    study = load_params()
    cell = params.build(CellRow, params.section(study, f"cells.{row}"), f"cells.{row}")
    evaluation = params.build(Evaluation, params.section(study, "evaluation"), "evaluation")
    bounds = params.build(Checks, params.section(study, "checks"), "checks")
    rt = runtime(cell.seed)
    evaluator = classifiers.load(Path(f"models/evaluators/{cell.evaluator}/model.pt"), rt)
    target = classifiers.load(Path(f"models/targets/{cell.target}/model.pt"), rt)
    guide = classifiers.load(Path(cell.guide) / "model.pt", rt)
    students = knowledge.load(Path(cell.knowledge), guide, rt).students
    prepared = Path(f"data/prepared/{cell.data}")
    private = checkpoints.load(prepared / "private.pt")
    public = checkpoints.load(prepared / "public.pt")["images"]
    made = checkpoints.load(Path(f"data/reconstructions/{row}.pt"))
    judged = (evaluator, target, guide, students)
    score = scoring.score_cell(row, cell, *judged, private, public, made, evaluation, bounds, rt)
    checkpoints.save(Path(f"data/scored/{row}.pt"), score.rows)
    write_record(Path(f"reports/scores/cells/{row}.json"), score.scores)


if __name__ == "__main__":
    run(main)
