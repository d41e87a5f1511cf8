"""A DVC repository of small shell commands, shaped as a study: a fan of rows over shared stages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import forked

DVC_YAML = """\
stages:
  code:
    cmd: cat source > digest
    deps: [source]
    outs: [digest]
  train:
    foreach: ${rows}
    do:
      cmd: >-
        sh work.sh "train ${key} ${item.value}" model-${key}
      deps: [digest, work.sh]
      params: ["rows.${key}"]
      outs: ["model-${key}"]
  score:
    foreach: ${rows}
    do:
      cmd: sh work.sh "$(cat model-${key}) scored" score-${key}.json
      deps: [work.sh, "model-${key}"]
      metrics: [{"score-${key}.json": {cache: false}}]
  report:
    cmd: cat score-*.json > report
    deps: [score-a.json, score-b.json, score-c.json]
    outs: [report]
  show:
    cmd: cat report >> shown
    deps: [report]
"""
WORK = """\
mkdir -p ran
echo "$DVC_STAGE $OMP_NUM_THREADS" >> "ran/$DVC_STAGE"
if [ -e "wait-$DVC_STAGE" ]; then sleep 300; fi
case "$1" in *fail*) echo "it fails here" >&2; exit 3;; esac
echo "{\\"said\\": \\"$1\\"}" > "$2"
"""


class Repository:
    """Such a repository at `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def copy(self, root: Path) -> Repository:
        """All of it at `root`, results and cache included."""
        shutil.copytree(self.root, root)
        return Repository(root)

    def write(self, **values: str) -> None:
        """The rows' values."""
        rows = {"a": "1", "b": "2", "c": "3"} | values
        lines = [f"  {name}: {{value: '{value}'}}\n" for name, value in rows.items()]
        (self.root / "params.yaml").write_text("rows:\n" + "".join(lines), encoding="utf-8")

    def dvc(self, *words: str, code: int = 0) -> str:
        ended, printed = forked.python(("-m", "dvc", *words), self.root, quiet())
        assert ended == code, printed
        return printed

    @property
    def lock(self) -> str:
        return (self.root / "dvc.lock").read_text(encoding="utf-8")

    def ran(self) -> dict[str, int]:
        """How often the command of each row was begun; forgets it."""
        found = {}
        for file in sorted((self.root / "ran").glob("*")):
            found[file.name] = len(file.read_text(encoding="utf-8").splitlines())
            file.unlink()
        return found


def quiet() -> dict[str, str]:
    return {**os.environ, "DVC_NO_ANALYTICS": "1", "SHELL": "/bin/sh"}
