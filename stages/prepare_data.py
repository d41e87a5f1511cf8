"""Prepares one row of `data`: raw images become private and public tensors with a manifest."""

from __future__ import annotations

import sys
from pathlib import Path

import _stage
from trapmid import wiring
from trapmid.artifacts import checkpoints, lineage
from trapmid.config import params
from trapmid.config.study import DataRow
from trapmid.data import links, sample
from trapmid.data.prepare import Prepared, prepare, to_csv


def main(name: str) -> None:
    where = f"data.{name}"
    block = params.section(_stage.load_params(), where)
    row = params.build(DataRow, block, where)
    for source in (row.private, row.public):
        links.check(Path(source.path))
    readers = wiring.reader(row.private.reader), wiring.reader(row.public.reader)
    with _stage.resumable_folder(f"prepare_data {name}", block) as scratch:
        prepared = prepare(row, *readers, scratch)
        _write(name, row, prepared)


def _write(name: str, row: DataRow, prepared: Prepared) -> None:
    if prepared.left_out:
        print(
            f"{name}: {prepared.left_out} images of {row.public.path} are left out: their numbers "
            f"({row.public.reader}) mean private people of {row.private.path}",
            file=sys.stderr,
        )
    if copies := prepared.sources["public_copies"]:
        print(
            f"{name}: {len(copies)} images of {row.public.path} are left out: they are "
            f"copies of private ones, as {copies[0]}",
            file=sys.stderr,
        )
    picture = sample.draw(prepared, f"{name}: private identities (training images), public images")
    folder = Path("data/prepared") / name
    checkpoints.save(folder / "private.pt", prepared.private)
    checkpoints.save(
        folder / "public.pt", lineage.public_content(prepared.public, prepared.private)
    )
    checkpoints.write_atomically(folder / "manifest.csv", to_csv(prepared.manifest))
    _stage.write_json(folder / "sources.json", prepared.sources)
    checkpoints.write_atomically(Path(f"reports/figures/data/{name}.png"), picture)


if __name__ == "__main__":
    _stage.run(main)
