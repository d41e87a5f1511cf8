"""Trains what stands in for a target, on public images: one row of `surrogates`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from _stage import load_params, records, resumable, run, runtime
from trapmid import wiring
from trapmid.artifacts import classifiers, initial, side_information
from trapmid.artifacts.lineage import Traced, check_together, load_public
from trapmid.config import params
from trapmid.config.study import SurrogateRow


def main(name: str) -> None:
    study = load_params()
    place = f"surrogates.{name}"
    row = params.build(SurrogateRow, params.section(study, place), place)
    block = params.of_row(study, "surrogates", name)
    method = wiring.surrogate(row.method, block)
    rt = runtime(row.seed, block["precision"])
    files = [
        Path(f"data/prepared/{row.data}/public.pt"),
        Path(f"models/targets/{row.target}/model.pt"),
        *initial.files(Path(row.init)),
    ]
    public, people = load_public(files[0])
    target = classifiers.load(files[1], rt)
    check_together(target.traced, Traced(files[0], people, None))
    start = side_information.start_surrogate(row, method, files[1], public.shape[-1], rt)
    with resumable(f"surrogates {name}", [asdict(row), block], files, rt) as checkpointer:
        with records(Path(f"reports/training/surrogates/{name}"), rt, checkpointer) as stats:
            learnt = method.fit(start.student, target.model, public, rt, checkpointer)
            stats["parameters"] = sum(p.numel() for p in start.student.parameters())
            stats["agreement"] = side_information.agreement(start.student, target.model, public, rt)
        path = Path(f"models/surrogates/{name}/model.pt")
        side_information.save_surrogate(path, name, row, start, target, learnt)


if __name__ == "__main__":
    run(main)
