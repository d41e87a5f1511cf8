"""Trains a classifier: `train_target.py SECTION ROW`; evaluators, pretrained or targets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from _stage import load_params, records, resumable, run, runtime
from trapmid import wiring
from trapmid.artifacts import checkpoints, classifiers, initial, pretraining
from trapmid.artifacts.lineage import people_of
from trapmid.config import params
from trapmid.config.study import ROWS, ClassifierTraining
from trapmid.training.fit import to_float


def main(kind: str, name: str) -> None:
    study = load_params()
    place = f"{kind}.{name}"
    row = params.build(ROWS[kind], params.section(study, place), place)
    plan = params.build(
        ClassifierTraining,
        params.section(study, f"classifier_training.{row.training}"),
        f"classifier_training.{row.training}",
    )
    block = params.of_row(study, kind, name)
    defense = wiring.defense(row.method, block, row.block)
    rt = runtime(row.seed, plan.precision)
    taught = pretraining.is_taught(row)
    data = Path(f"data/prepared/{row.data}/{'public' if taught else 'private'}.pt")
    content = checkpoints.load(data)
    folder, path = Path(f"reports/training/{kind}/{name}"), Path(f"models/{kind}/{name}/model.pt")
    identity = [asdict(row), asdict(plan), block]
    with resumable(
        f"{kind} {name}", identity, [data, *initial.files(Path(row.init))], rt
    ) as checkpointer:
        if taught:
            with records(folder, rt, checkpointer) as stats:
                learnt = pretraining.train(row, plan, defense, content, rt, checkpointer)
                stats |= learnt.facts()
            pretraining.save(path, name, row, learnt, content)
            return
        with records(folder, rt, checkpointer) as stats:
            trained = classifiers.train(row, plan, defense, content, rt, checkpointer)
            stats["parameters"] = sum(p.numel() for p in trained.model.parameters())
            stats["kept_epoch"] = trained.fitted.epoch
        if (trapdoor := trained.objective.trapdoor) is not None:
            shown = min(8, trained.model.num_classes)
            poisoned = trapdoor.cpu().examples(to_float(content["train_images"][:shown]))
            samples = {"triggers": trapdoor.triggers[None, :shown], "poisoned": poisoned[None]}
            checkpoints.save(folder / "samples.pt", samples)
        size = content["train_images"].shape[-1]
        classifiers.save(path, name, row, trained, size, people_of(content))


if __name__ == "__main__":
    run(main)
