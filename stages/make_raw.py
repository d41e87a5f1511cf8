"""Makes the raw folder of one row of `raw`, as if somebody had downloaded it."""

from __future__ import annotations

from pathlib import Path

import _stage
from trapmid import wiring
from trapmid.config import params
from trapmid.config.study import RawRow


def main(name: str) -> None:
    where = f"raw.{name}"
    row = params.build(RawRow, params.section(_stage.load_params(), where), where)
    folder = Path("data/raw") / name
    if folder.exists() and any(folder.iterdir()):
        raise _stage.StageError(f"{folder}: is not empty; remove it first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    wiring.maker(row.maker, row.options, f"{where}.options").make(folder, print)


if __name__ == "__main__":
    _stage.run(main)
