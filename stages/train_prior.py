"""Trains one prior: `train_prior.py public_priors gmi` or `train_prior.py guided_priors ROW`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

from _stage import load_params, records, resumable, run, runtime
from trapmid import wiring
from trapmid.artifacts import checkpoints, classifiers, priors, side_information
from trapmid.artifacts.lineage import Lineage, Traced, check_together, file_digest, load_public
from trapmid.config import params
from trapmid.config.study import GuidedPriorRow, PublicPriorRow
from trapmid.types import NOTHING

Row = PublicPriorRow | GuidedPriorRow
KINDS: dict[str, type[Row]] = {"public_priors": PublicPriorRow, "guided_priors": GuidedPriorRow}


def main(kind: str, name: str) -> None:
    if kind not in KINDS:
        print(f"usage: {sys.argv[0]} {'|'.join(KINDS)} NAME", file=sys.stderr)
        sys.exit(2)
    study = load_params()
    place = f"{kind}.{name}"
    row = params.build(KINDS[kind], params.section(study, place), place)
    block = params.of_row(study, kind, name)
    training = wiring.prior_training(row.method, block)
    rt = runtime(row.seed, block["precision"])
    files = [Path(f"data/prepared/{row.data}/public.pt"), Path(row.init)]
    public, people = load_public(files[0])
    target, known, about = None, NOTHING, Traced(files[0], people, None)
    if isinstance(row, GuidedPriorRow):
        files += [Path(row.queried_model) / "model.pt", Path(row.side_information)]
        queried_model = classifiers.load(files[-2], rt)
        target, known = queried_model.model, side_information.load(files[-1], queried_model, rt)
        check_together(queried_model.traced, about)
        about = queried_model.traced
    priors.check_start(Path(row.init), about)
    folder, size = Path(f"reports/training/{kind}/{name}"), public.shape[-1]
    with resumable(f"{kind} {name}", [asdict(row), block], files, rt) as checkpointer:
        classes = 1 if target is None else target.num_classes
        prior = priors.start(training, size, classes, Path(row.init), rt)
        with records(folder, rt, checkpointer) as stats:
            training.fit(prior, public, target, known, rt, checkpointer)
            if checkpointer.history() is None:
                checkpointer.log({}, 0)  # without steps nothing is learnt: a curve of no numbers
            stats["parameters"] = sum(p.numel() for p in prior.parameters())
        checkpoints.save(folder / "samples.pt", {"samples": priors.samples(prior, classes, rt)})
        path = Path(f"models/priors/{kind.removesuffix('_priors')}/{name}/prior.pt")
        roles = ("public", "init", "queried_model", "side_information")
        sources = {role: file_digest(file) for role, file in zip(roles, files, strict=False)}
        lineage = Lineage(people=people, target=about.target, sources=sources)
        priors.save(path, row.method, block.plain(), size, prior, lineage)


if __name__ == "__main__":
    run(main)
