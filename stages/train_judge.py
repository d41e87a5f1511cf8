"""Trains a judge on the public people of a data row: one row of `trained_judges`."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path

from _stage import load_params, records, resumable, run, runtime
from trapmid import wiring
from trapmid.artifacts import judge_training, judges
from trapmid.artifacts.judge_training import Public
from trapmid.artifacts.lineage import load_public
from trapmid.config import params
from trapmid.config.study import TrainedJudgeRow
from trapmid.data import manifest_people


def main(name: str) -> None:
    study = load_params()
    place = f"trained_judges.{name}"
    row = params.build(TrainedJudgeRow, params.section(study, place), place)
    block = params.of_row(study, "trained_judges", name)
    plan = wiring.judge_training(row.method, block, block.where)
    rt = runtime(row.seed)
    prepared = Path(f"data/prepared/{row.data}")
    files = [prepared / "public.pt", prepared / "manifest.csv", Path(row.truth)]
    with files[1].open(newline="", encoding="utf-8") as manifest:
        whose = manifest_people.public(csv.DictReader(manifest))
    public = Public(load_public(files[0]).images, whose)
    folder = Path(f"reports/training/trained_judges/{name}")
    identity = [asdict(row), asdict(plan)]
    with resumable(f"trained_judges {name}", identity, files, rt) as checkpointer:
        with records(folder, rt, checkpointer) as stats:
            trained = judge_training.train(row, plan, public, rt, checkpointer)
            stats["people"], stats["images"] = (
                trained.learnt_from.people,
                trained.learnt_from.images,
            )
        path = Path(f"models/judges/{name}/model.pt")
        judges.save_weights(path, row.method, *trained)


if __name__ == "__main__":
    run(main)
