"""Checks one prepared data set against its contract; a breach stops the pipeline here.

Only a success leaves reports/data/<row>.json, on which training depends; a breach is kept in the
scratch folder for whoever wants to see all of it.
"""

from __future__ import annotations

from pathlib import Path

import _stage
from trapmid.artifacts import checkpoints, results
from trapmid.config import params
from trapmid.config.study import DataRow, Validation
from trapmid.data import contract, tables


def main(name: str) -> None:
    study = _stage.load_params()
    row = params.build(DataRow, params.section(study, f"data.{name}"), f"data.{name}")
    bounds = params.build(Validation, params.section(study, "validation"), "validation")
    folder, report = Path("data/prepared") / name, Path(f"reports/data/{name}.json")
    breach = _stage.scratch_root() / "validate_data" / f"{name}.json"
    for old in (report, breach):
        old.unlink(missing_ok=True)
    private, public = (checkpoints.load(folder / f"{side}.pt") for side in ("private", "public"))
    manifest = tables.read_manifest((folder / "manifest.csv").read_bytes())
    sources = results.read_json(folder / "sources.json")
    verdict = contract.check(name, row, bounds, manifest, private, public["images"])
    if not verdict.success:
        _stage.write_json(breach, verdict.content)
        broken = "\n  ".join(verdict.failures())
        raise _stage.StageError(f"{name} breaks its contract (all of it: {breach})\n  {broken}")
    _stage.write_record(report, verdict.content | {"sources": sources})


if __name__ == "__main__":
    _stage.run(main)
