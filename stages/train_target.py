"""Trains a classifier: `train_target.py SECTION ROW`; evaluators, pretrained or targets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from _stage import load_params, records, resumable, run, runtime
from trapmid import wiring
from trapmid.artifacts import checkpoints, classifiers
from trapmid.artifacts.lineage import people_of
from trapmid.config import params
from trapmid.config.study import ClassifierTraining, TargetRow
from trapmid.training.fit import to_float


def main(kind: str, name: str) -> None:
    study = load_params()
    place = f"{kind}.{name}"
    row = params.build(TargetRow, params.section(study, place), place)
    plan = params.build(
        ClassifierTraining,
        params.section(study, f"classifier_training.{row.training}"),
        f"classifier_training.{row.training}",
    )
    block = params.of_row(study, kind, name)
    defense = wiring.defense(row.method, block, row.block)
    rt = runtime(row.seed, plan.precision)
    data = Path(f"data/prepared/{row.data}/private.pt")
    private = checkpoints.load(data)
    folder = Path(f"reports/training/{kind}/{name}")
    identity = [asdict(row), asdict(plan), block]
    with resumable(f"{kind} {name}", identity, [data, Path(row.init)], rt) as checkpointer:
        with records(folder, rt, checkpointer) as stats:
            trained = classifiers.train(row, plan, defense, private, rt, checkpointer)
            stats["parameters"] = sum(p.numel() for p in trained.model.parameters())
            stats["kept_epoch"] = trained.fitted.epoch
        trapdoor = trained.objective.trapdoor
        if trapdoor is not None:
            shown = min(8, trained.model.num_classes)
            poisoned = trapdoor.cpu().examples(to_float(private["train_images"][:shown]))
            samples = {"triggers": trapdoor.triggers[None, :shown], "poisoned": poisoned[None]}
            checkpoints.save(folder / "samples.pt", samples)
        size = private["train_images"].shape[-1]
        path = Path(f"models/{kind}/{name}/model.pt")
        classifiers.save(path, name, row, trained, size, people_of(private))


if __name__ == "__main__":
    run(main)
