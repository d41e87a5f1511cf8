"""Attacks: one row of `attack_runs`. An attacker opens what it made before, and no data at all."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from _stage import load_params, records, resumable, run, runtime
from trapmid import wiring
from trapmid.artifacts import checkpoints, classifiers, priors, side_information
from trapmid.artifacts.lineage import Lineage, file_digest
from trapmid.config import params
from trapmid.config.study import AttackRunRow, Inversion
from trapmid.search import inversion


def main(name: str) -> None:
    study = load_params()
    place = f"attack_runs.{name}"
    attack_run = params.build(AttackRunRow, params.section(study, place), place)
    plan = params.build(Inversion, params.section(study, "inversion"), "inversion")
    block = params.of_row(study, "attack_runs", name)
    attack = wiring.attack(attack_run.method, block)
    rt = runtime(attack_run.seed)
    files = [
        Path(attack_run.queried_model) / "model.pt",
        Path(attack_run.prior) / "prior.pt",
        Path(attack_run.side_information),
    ]
    queried_model = classifiers.load(files[0], rt)
    prior = priors.load(files[1], rt)
    known = side_information.load(files[2], queried_model, rt)
    priors.check_fits(prior, queried_model)
    identity = [asdict(attack_run), asdict(plan), block]
    with resumable(f"attack_runs {name}", identity, files, rt) as checkpointer:
        with records(Path(f"reports/training/attack_runs/{name}"), rt, checkpointer) as stats:
            found = inversion.invert_all(
                attack, queried_model.model, prior.prior, known, plan, rt, checkpointer
            )
            stats["images"] = len(found.rows["labels"])
            stats["batch_size"], stats["queries"] = found.batch_size, found.queries
        roles = zip(("queried_model", "prior", "side_information"), files, strict=True)
        lineage = Lineage(
            people=prior.lineage.people,
            target=queried_model.target,
            sources={role: file_digest(file) for role, file in roles},
        )
        content = found.rows | {"lineage": lineage.to_content()}
        checkpoints.save(Path(f"data/reconstructions/{name}.pt"), content)


if __name__ == "__main__":
    run(main)
