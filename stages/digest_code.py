"""Digests of the code that stages depend on: a file in digests/ for every script and method."""

from __future__ import annotations

import shutil
from pathlib import Path

from trapmid.artifacts.sources import INDEX, Sources, index_lines

OUT = Path("digests")


def main() -> None:
    sources = Sources(Path("src/trapmid"), Path("stages"))
    shutil.rmtree(OUT, ignore_errors=True)
    for unit, roots in sources.units().items():
        file = OUT / unit
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(sources.listing(*roots), encoding="utf-8")
    index = "\n".join(sorted(index_lines(sources.files.values())))
    (OUT / INDEX).write_text(index + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
