"""What an attacker knows about the features of a target's classes: one row of `signatures`."""

from __future__ import annotations

from pathlib import Path

from _stage import load_params, run, runtime
from trapmid.artifacts import classifiers, side_information
from trapmid.artifacts.lineage import Traced, check_together, load_public
from trapmid.config import params
from trapmid.config.study import SignatureRow
from trapmid.training import signatures
from trapmid.training.trigger_inversion import invert_triggers


def main(name: str) -> None:
    where = f"signatures.{name}"
    row = params.build(SignatureRow, params.section(load_params(), where), where)
    rt = runtime(row.seed)
    target = classifiers.load(Path(f"models/targets/{row.target}/model.pt"), rt)
    data = Path(f"data/prepared/{row.data}/public.pt")
    public, people = load_public(data)
    check_together(target.traced, Traced(data, people, None))
    known = side_information.load(Path(row.leak), target, rt).signatures
    if row.inverted is not None:
        found = invert_triggers(target.model, public, row.inverted, rt)
        print(f"{where}: the inverted triggers move {found.success:.1%} of the public images")
        known = found.signatures
    auxiliary = signatures.auxiliary_signatures(target.model, public, row.top_n, rt)
    path = Path(f"models/signatures/{name}.pt")
    side_information.save_signatures(path, target, signatures=known, auxiliary=auxiliary)


if __name__ == "__main__":
    run(main)
