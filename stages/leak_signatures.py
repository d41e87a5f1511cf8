"""What a careless defender loses: the trapdoor signatures of one row of `leaks`.

The only stage beside training and scoring that opens private images: PLG-MI++ supposes that an
attacker got this file, and nothing else of theirs.
"""

from __future__ import annotations

from pathlib import Path

from _stage import StageError, load_params, run, runtime
from trapmid.artifacts import checkpoints, classifiers, side_information
from trapmid.artifacts.lineage import Traced, check_together, people_of
from trapmid.config import params
from trapmid.config.study import LeakRow
from trapmid.metrics import signature


def main(name: str) -> None:
    row = params.build(LeakRow, params.section(load_params(), f"leaks.{name}"), f"leaks.{name}")
    rt = runtime(row.seed)
    target = classifiers.load(Path(f"models/targets/{row.target}/model.pt"), rt)
    data = Path(f"data/prepared/{row.data}/private.pt")
    if target.trapdoor is None:
        raise StageError(f"leaks.{name}.target: {row.target} has no trapdoor")
    private = checkpoints.load(data)
    check_together(target.traced, Traced(data, people_of(private), None))
    planted = signature.planted(target.model, target.trapdoor, private["train_images"], rt)
    file = Path(f"models/leaks/{name}.pt")
    side_information.save_signatures(file, target, signatures=planted)


if __name__ == "__main__":
    run(main)
