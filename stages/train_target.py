"""Trains a classifier: `train_target.py SECTION ROW`; evaluators, pretrained or targets."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from _stage import load_params, records, resumable, run, runtime
from trapmid import wiring
from trapmid.artifacts import checkpoints, classifiers, pretraining
from trapmid.artifacts.lineage import load_public, people_of
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
    if isinstance(row, PretrainedRow) and row.teacher is not None:
        train, images = partial(_imitate, row=row), "public.pt"
    else:
        train, images = partial(_classify, row=row, kind=kind), "private.pt"
    data = Path(f"data/prepared/{row.data}/{images}")
    identity = [asdict(row), asdict(plan), block]
    with resumable(f"{kind} {name}", identity, [data, Path(row.init)], rt) as checkpointer:
        train(name, data, plan, defense, rt, checkpointer)


def _classify(
    name: str,
    data: Path,
    plan: ClassifierTraining,
    defense: Defense,
    rt: Runtime,
    checkpointer: Scratch,
    row: TargetRow,
    kind: str,
) -> None:
    folder, path = _places(kind, name)
    private = checkpoints.load(data)
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
    name: str,
    data: Path,
    plan: ClassifierTraining,
    defense: Any,  # `none`, which has an augmentation
    rt: Runtime,
    checkpointer: Scratch,
    row: PretrainedRow,
) -> None:
    folder, path = _places("pretrained", name)
    public, people = load_public(data)
    with records(folder, rt, checkpointer) as stats:
        learnt = pretraining.train(row, plan, defense.augmentation, public, rt, checkpointer)
        stats["parameters"] = sum(p.numel() for p in learnt.model.parameters())
        stats["explained"] = learnt.explained
    pretraining.save(path, name, row, learnt, public.shape[-1], people)


def _places(kind: str, name: str) -> tuple[Path, Path]:
    """The folder of a row's records, and the file of its weights."""
    return Path(f"reports/training/{kind}/{name}"), Path(f"models/{kind}/{name}/model.pt")


if __name__ == "__main__":
    run(main)
