"""Digests of the code that stages depend on: a file in digests/ for every script and method.

It is the first stage of a study that begins, so it refuses names in params.yaml that are none
before anything is made. Later it runs when code has changed; every stage looks at its own names.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from trapmid.artifacts.sources import INDEX, Sources, index_lines
from trapmid.config import names, params
from trapmid.config.params import ParamsError

OUT = Path("digests")
PARAMS = Path("params.yaml")


def main() -> None:
    _check_names()
    sources = Sources(Path("src/trapmid"), Path("stages"))
    index = sorted(index_lines(sources.files))
    shutil.rmtree(OUT, ignore_errors=True)
    for unit, roots in sources.units().items():
        file = OUT / unit
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(sources.listing(*roots), encoding="utf-8")
    if sorted(index_lines(sources.files)) != index:
        shutil.rmtree(OUT)
        sys.exit("digest_code: error: src or stages were edited while they were read; run it again")
    (OUT / INDEX).write_text("\n".join(index) + "\n", encoding="utf-8")


def _check_names() -> None:
    """Of params.yaml, where there is one; every row's stage checks its own again."""
    try:
        wrong = [*names.problems(params.read(PARAMS))] if PARAMS.exists() else []
    except ParamsError as error:
        wrong = [str(error)]
    if wrong:
        sys.exit(f"digest_code: error: {wrong[0]}")


def _check_words(words: list[str]) -> None:
    """It takes none, and must not throw digests away for somebody who asks for help."""
    usage = "usage: python stages/digest_code.py"
    if {"-h", "--help"} & {*words}:
        print(usage, __doc__, sep="\n\n")
        sys.exit()
    if words:
        print(usage, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    _check_words(sys.argv[1:])
    main()
