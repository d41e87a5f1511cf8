"""Attacks: one row of `cells`. An attacker opens the target and the prior, and no data at all."""

from __future__ import annotations

from pathlib import Path

from _stage import load_params, records, run, runtime
from trapmid import checkpoints, classifiers, inversion, params, prior_files, wiring
from trapmid.study import CellRow, Inversion


def main(name: str) -> None:
    study = load_params()
    cell = params.build(CellRow, params.section(study, f"cells.{name}"), f"cells.{name}")
    plan = params.build(Inversion, params.section(study, "inversion"), "inversion")
    attack = wiring.attack(cell.attack, params.section(study, f"attacks.{cell.attack}"))
    rt = runtime(cell.seed)
    target = classifiers.load(Path(f"models/targets/{cell.target}/model.pt"), rt).model
    prior = prior_files.load(Path(cell.prior) / "prior.pt", rt)
    with records(Path(f"reports/training/cells/{name}"), rt) as stats:
        found = inversion.invert_all(attack, target, prior, plan, rt)
        stats["images"] = len(found["labels"])
    checkpoints.save(Path(f"data/reconstructions/{name}.pt"), found)


if __name__ == "__main__":
    run(main)
