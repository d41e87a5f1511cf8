"""Attacks: one row of `cells`. An attacker opens what it made before, and no data at all."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from _stage import load_params, records, resumable, run, runtime
from trapmid import wiring
from trapmid.artifacts import checkpoints, classifiers, knowledge, prior_files
from trapmid.config import params
from trapmid.config.study import CellRow, Inversion
from trapmid.search import inversion


def main(name: str) -> None:
    study = load_params()
    place = f"cells.{name}"
    cell = params.build(CellRow, params.section(study, place), place)
    plan = params.build(Inversion, params.section(study, "inversion"), "inversion")
    block = params.of_row(study, "cells", name)
    attack = wiring.attack(cell.method, block)
    rt = runtime(cell.seed)
    files = [Path(cell.guide) / "model.pt", Path(cell.prior) / "prior.pt", Path(cell.knowledge)]
    guide = classifiers.load(files[0], rt)
    prior = prior_files.load(files[1], rt)
    known = knowledge.load(files[2], guide, rt)
    identity = [asdict(cell), asdict(plan), block]
    with resumable(f"cells {name}", identity, files, rt) as keep:
        with records(Path(f"reports/training/cells/{name}"), rt, keep) as stats:
            found = inversion.invert_all(attack, guide.model, prior, known, plan, rt, keep)
            stats["images"] = len(found.rows["labels"])
            stats["batch_size"], stats["queries"] = found.batch_size, found.queries
        checkpoints.save(Path(f"data/reconstructions/{name}.pt"), found.rows)


if __name__ == "__main__":
    run(main)
