"""Trains a classifier: `train_target.py SECTION ROW`; evaluators, pretrained or targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from _stage import load_params, records, resumable, run, runtime
from trapmid import wiring
from trapmid.artifacts import checkpoints, classifiers, pretraining
from trapmid.artifacts.lineage import people_of
from trapmid.artifacts.scratch import Scratch
from trapmid.config import params
from trapmid.config.study import ROWS, ClassifierTraining, PretrainedRow, TargetRow
from trapmid.runtime import Runtime
from trapmid.training.fit import to_float
from trapmid.types import Defense


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
    data = Path(f"data/prepared/{row.data}/private.pt")
    private = checkpoints.load(data)
    identity = [asdict(row), asdict(plan), block]
    with resumable(f"{kind} {name}", identity, [data, Path(row.init)], rt) as checkpointer:
        if isinstance(row, PretrainedRow) and row.teacher is not None:
            _imitate(kind, name, row, plan, defense, private, rt, checkpointer)
        else:
            _classify(kind, name, row, plan, defense, private, rt, checkpointer)


def _classify(
    kind: str,
    name: str,
    row: TargetRow,
    plan: ClassifierTraining,
    defense: Defense,
    private: Mapping[str, Tensor],
    rt: Runtime,
    checkpointer: Scratch,
) -> None:
    folder, path = _places(kind, name)
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
    classifiers.save(path, name, row, trained, size, people_of(private))


def _imitate(
    kind: str,
    name: str,
    row: PretrainedRow,
    plan: ClassifierTraining,
    defense: Any,  # `none`, which has an augmentation
    private: Mapping[str, Tensor],
    rt: Runtime,
    checkpointer: Scratch,
) -> None:
    folder, path = _places(kind, name)
    with records(folder, rt, checkpointer) as stats:
        learnt = pretraining.train(row, plan, defense.augmentation, private, rt, checkpointer)
        stats["parameters"] = sum(p.numel() for p in learnt.model.parameters())
        stats["explained"] = learnt.explained
    size = private["train_images"].shape[-1]
    pretraining.save(path, name, row, learnt, size, people_of(private))


def _places(kind: str, name: str) -> tuple[Path, Path]:
    """The folder of a row's records, and the file of its weights."""
    return Path(f"reports/training/{kind}/{name}"), Path(f"models/{kind}/{name}/model.pt")


if __name__ == "__main__":
    run(main)
