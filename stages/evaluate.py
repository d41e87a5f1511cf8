"""Scores one row of `attack_runs`: an attack on a target, recognised by an evaluator."""

from __future__ import annotations

from pathlib import Path

from _scores import write_scores
from _stage import load_params, run, runtime
from trapmid.artifacts import checkpoints, classifiers, judges, lineage, side_information
from trapmid.artifacts.lineage import Traced
from trapmid.config import params
from trapmid.config.evaluation import Checks, Evaluation
from trapmid.config.study import AttackRunRow
from trapmid.scoring import references
from trapmid.scoring.attack import score_attack
from trapmid.scoring.described import Setup
from trapmid.scoring.evidence import AttackedModel, Data, Evidence
from trapmid.scoring.recognition import Evaluator


def main(row: str) -> None:
    study = load_params()
    place = f"attack_runs.{row}"
    attack_run = params.build(AttackRunRow, params.section(study, place), place)
    evaluation = params.build(Evaluation, params.section(study, "evaluation"), "evaluation")
    bounds = params.build(Checks, params.section(study, "checks"), "checks")
    rt = runtime(attack_run.seed)
    setup = Setup(evaluation, bounds, rt)
    loaded = classifiers.load(Path(f"models/evaluators/{attack_run.evaluator}/model.pt"), rt)
    target = classifiers.load(Path(f"models/targets/{attack_run.target}/model.pt"), rt)
    queried_model = classifiers.load(Path(attack_run.queried_model) / "model.pt", rt)
    side = Path(attack_run.side_information)
    panel = judges.load_panel(attack_run, rt)
    students = side_information.load(side, queried_model, rt).students
    prepared = Path(f"data/prepared/{attack_run.data}")
    private = checkpoints.load(prepared / "private.pt")
    lineage.check_together(
        target.traced,
        queried_model.traced,
        loaded.traced._replace(target=None),
        Traced(prepared / "private.pt", lineage.people_of(private), None),
        *panel.traced,
    )
    file = Path(f"data/reconstructions/{row}.pt")
    made_from = {"queried_model": queried_model.path, "side_information": side}
    evidence = Evidence.of(lineage.load_made_from(file, target.traced, made_from))
    folder = Path("data/features")
    seen = folder / f"evaluators/{attack_run.evaluator}.pt"
    evaluator = Evaluator(loaded, references.load_evaluator(seen, loaded, private, evaluation))
    signature = references.load_target(folder / f"targets/{attack_run.target}.pt", target, private)
    attacked = AttackedModel(target, queried_model, students, signature)
    data = Data(private, lineage.load_public(prepared / "public.pt").images)
    scored = score_attack(row, attack_run, evaluator, attacked, data, evidence, setup, panel)
    checkpoints.save(Path(f"data/scored/{row}.pt"), scored.rows)
    write_scores(scored.scores, rt)


if __name__ == "__main__":
    run(main)
