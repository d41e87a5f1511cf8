"""Scores one row of `cells`: an attack on a target, judged by an evaluator."""

from __future__ import annotations

from pathlib import Path

from _stage import load_params, run, runtime, write_record
from trapmid.artifacts import checkpoints, classifiers, knowledge
from trapmid.config import params
from trapmid.config.criteria import Checks, Evaluation
from trapmid.config.study import CellRow
from trapmid.scoring import references
from trapmid.scoring.attack import AttackedModel, Data, Evidence, score_attack
from trapmid.scoring.described import Setup
from trapmid.scoring.judged import Evaluator


def main(row: str) -> None:
    study = load_params()
    cell = params.build(CellRow, params.section(study, f"cells.{row}"), f"cells.{row}")
    evaluation = params.build(Evaluation, params.section(study, "evaluation"), "evaluation")
    bounds = params.build(Checks, params.section(study, "checks"), "checks")
    rt = runtime(cell.seed)
    setup = Setup(evaluation, bounds, rt)
    judge = classifiers.load(Path(f"models/evaluators/{cell.evaluator}/model.pt"), rt)
    target = classifiers.load(Path(f"models/targets/{cell.target}/model.pt"), rt)
    guide = classifiers.load(Path(cell.guide) / "model.pt", rt)
    students = knowledge.load(Path(cell.knowledge), guide, rt).students
    prepared = Path(f"data/prepared/{cell.data}")
    private = checkpoints.load(prepared / "private.pt")
    public = checkpoints.load(prepared / "public.pt")["images"]
    evidence = Evidence.of(checkpoints.load(Path(f"data/reconstructions/{row}.pt")))
    features = Path("data/features")
    seen = features / f"evaluators/{cell.evaluator}.pt"
    evaluator = Evaluator(judge, references.load_evaluator(seen, judge, private, evaluation))
    planted = features / f"targets/{cell.target}.pt"
    signature = references.load_target(planted, target, private)
    attacked = AttackedModel(target, guide, students, signature)
    scored = score_attack(row, cell, evaluator, attacked, Data(private, public), evidence, setup)
    checkpoints.save(Path(f"data/scored/{row}.pt"), scored.rows)
    write_record(Path(f"reports/scores/cells/{row}.json"), scored.scores.to_json())


if __name__ == "__main__":
    run(main)
