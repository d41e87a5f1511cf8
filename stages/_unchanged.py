"""What a stage began with is what DVC records.

DVC (3.67.1) hashes parameters and code after a stage has run. What was edited meanwhile would be
recorded as what made the result, and count as up to date. So a stage compares at its end, and code
at its start, too: `code` may have run hours before. The code of a stage is what it imports, which
an installation may take from another checkout than this folder's, on a worker of a cluster, too.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import trapmid
from trapmid.artifacts.sources import INDEX, SCRIPTS, Sources, index_lines
from trapmid.config import params
from trapmid.config.params import ParamsError, Study

PARAMS = Path("params.yaml")
DIGESTS = Path("digests")
PACKAGE = Path("src/trapmid")
RUNNING = (Path(trapmid.__file__).parent, Path(__file__).parent)
"""Where the package and the scripts lie that run."""


class ChangedError(RuntimeError):
    """A stage would be recorded with what it did not run with; the message is one line."""


class Watch:
    """The code and the parameters of one run of a stage.

    Args:
        script: the name of the stage's script.
        running: see `RUNNING`.
    """

    def __init__(self, script: str, running: tuple[Path, Path] = RUNNING) -> None:
        self._script, self._running = script, running
        self._study: Study | None = None

    def load_params(self) -> Study:
        """params.yaml of the working directory, which DVC sets to the folder of dvc.yaml."""
        self._study = params.read(PARAMS)
        return self._study

    def check_params(self) -> None:
        """Refuses parameters that the stage used and that are others in the file by now.

        Raises:
            ChangedError: it names the first of them.
        """
        if self._study is None:
            return
        now = params.read(PARAMS)
        for where in sorted(self._study.asked):
            if _at(now, where) != _at(self._study, where):
                raise ChangedError(
                    f"{where or PARAMS}: changed while this ran with the old value; "
                    "put it back and `dvc commit` this stage, or run `dvc repro` again"
                )

    def check_code(self) -> None:
        """Refuses code that is not what the stage `code` has written down.

        A stage that is run by hand in a checkout without digests has nothing to compare.

        Raises:
            ChangedError: it names a definition that differs.
        """
        if not DIGESTS.is_dir() or self._files_are_known():
            return
        sources = Sources(*self._running)
        for unit in self._units(sources):
            file, now = DIGESTS / unit, sources.listing(*sources.units()[unit])
            written = file.read_text(encoding="utf-8") if file.exists() else ""
            if differing := set(now.splitlines()) ^ set(written.splitlines()):
                name = min(differing).split()[0]
                raise ChangedError(f"{name}: {self._why()}")

    def _why(self) -> str:
        package = self._running[0].resolve()
        if package == PACKAGE.resolve():
            return "changed since `dvc repro` began; run it again"
        return (
            f"what runs is {package}, which differs from {PACKAGE} here; "
            "`pip install --editable .` here, or use this folder's own environment"
        )

    def code(self) -> str:
        """A digest of the code of this run: of its script and of the methods that it imported."""
        sources = Sources(*self._running)
        known = DIGESTS.is_dir()
        texts = [
            (DIGESTS / unit).read_text(encoding="utf-8")
            if known
            else sources.listing(*sources.units()[unit])
            for unit in self._units(sources)
        ]
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()

    def _files_are_known(self) -> bool:
        """Whether every file that is loaded has the bytes that the stage `code` saw.

        Taking them apart, to see whether a comment alone was edited, takes a second.
        """
        known = set((DIGESTS / INDEX).read_text(encoding="utf-8").splitlines())
        names = {*sys.modules, self._script}
        files = Sources(*self._running).files
        loaded = {name: file for name, file in files.items() if name in names}
        return all(line in known for line in index_lines(loaded))

    def _units(self, sources: Sources) -> list[str]:
        """The script, and the methods that it has imported by now."""
        return [
            unit
            for unit, roots in sources.units().items()
            if unit == f"{SCRIPTS}/{self._script}"
            or (not unit.startswith(f"{SCRIPTS}/") and roots[0].module in sys.modules)
        ]


def _at(study: Study, where: str) -> Any:
    """The part at a dotted path, all of it at "", None where it is gone."""
    try:
        return params.section(dict(study), where) if where else dict(study)
    except ParamsError:
        return None
