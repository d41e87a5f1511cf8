"""The folder of an audit: a DVC repository of its own that runs the stages of this checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from trapmid.artifacts.checkpoints import write_atomically
from trapmid.audit.people import AuditError
from trapmid.profiles import preflight
from trapmid.profiles.compose import compose
from trapmid.profiles.text import check_replaceable

STUDY = "study"
"""The profile that an audit writes, on one of this project: what its data and its model are."""
MODEL = "models/external/model.pt2"

_LINKED = ("src", "stages", "weights", "docs", "reports/paper")
_COPIED = ("dvc.yaml", ".dvcignore")


class Folder:
    """Where an audit writes.

    Args:
        path: need not be there.
        project: the root of this checkout.
    """

    def __init__(self, path: Path, project: Path) -> None:
        self.path, self.project = path.absolute(), project.absolute()

    @property
    def report(self) -> Path:
        return self.path / "reports" / "report.html"

    def check(self, *, force: bool) -> None:
        """Refuses a folder that holds something else, or a study that somebody edited.

        Raises:
            AuditError: it does.
            ProfileError: its params.yaml was edited, and `force` is not given.
        """
        missing = [name for name in ("stages", "profiles", "dvc.yaml") if not
                   (self.project / name).exists()]  # fmt: skip
        if missing:
            raise AuditError(f"{missing[0]}: no such file; run this at the root of the project")
        if self.path == self.project:
            raise AuditError(f"{self.path}: is this checkout; an audit has a folder of its own")
        if self.path.exists() and not self.path.is_dir():
            raise AuditError(f"{self.path}: is no folder")
        params = self.path / "params.yaml"
        if self.path.is_dir() and any(self.path.iterdir()) and not params.exists():
            raise AuditError(f"{self.path}: holds something else than an audit")
        if not force:
            check_replaceable(params)

    def write(self, overlay: Mapping[str, Any], model: bytes, links: Mapping[str, Path]) -> None:
        """Everything but results; what a study there had computed stays, and counts if it fits.

        Args:
            overlay: the profile.
            model: the bytes of its .pt2 file.
            links: by path under the folder, the folders of images.

        Raises:
            AuditError: params.yaml cannot be made of the profile.
        """
        fresh = not self.path.exists()
        try:
            self._write_profile(overlay)
            for name, place in {**self._links(), **links}.items():
                _link(self.path / name, place.absolute())
            for name in _COPIED:
                write_atomically(self.path / name, (self.project / name).read_bytes())
            write_atomically(self.path / MODEL, model)
            if not (self.path / ".dvc").is_dir():
                self.dvc("init", "--no-scm", "--quiet")
        except BaseException:
            if fresh:
                shutil.rmtree(self.path, ignore_errors=True)
            raise

    def _links(self) -> dict[str, Path]:
        return {name: self.project / name for name in _LINKED}

    def _write_profile(self, overlay: Mapping[str, Any]) -> None:
        profiles = self.path / "profiles"
        profiles.mkdir(parents=True, exist_ok=True)
        for one in (self.project / "profiles").glob("*.yaml"):
            _link(profiles / one.name, one)
        with (profiles / f"{STUDY}.yaml").open("w", encoding="utf-8") as stream:
            stream.write("# Written by `trapmid audit`.\n")
            YAML().dump(dict(overlay), stream)
        text = compose(STUDY, None, profiles)
        if found := preflight.problems(text):
            raise AuditError(f"{profiles / STUDY}.yaml: {found[0]}")
        write_atomically(self.path / "params.yaml", text.encode())

    def dvc(self, *words: str) -> None:
        """Runs DVC in the folder, see `_call`."""
        self._call("dvc", *words)

    def run(self) -> None:
        """Brings the study up to date, several stages at a time, see `_call`."""
        self._call("trapmid.cli", "run", "--jobs", "auto")

    def _call(self, module: str, *words: str) -> None:
        """Runs a program there, its output on this terminal, with this interpreter and code.

        Raises:
            AuditError: it fails; what failed stands above.
        """
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        code = os.pathsep.join(
            filter(None, [str(self.project / "src"), os.environ.get("PYTHONPATH")])
        )
        environment = {**os.environ, "PATH": path, "PYTHONPATH": code}
        done = subprocess.run(
            [sys.executable, "-m", module, *words], cwd=self.path, env=environment, check=False
        )
        if done.returncode:
            raise AuditError(
                f"{words[0]} failed in {self.path}, see above; the same command goes on there"
            )


def _link(link: Path, place: Path) -> None:
    """A symbolic link, made anew where it leads elsewhere."""
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink():
        if Path(os.readlink(link)) == place:
            return
        link.unlink()
    if link.exists():
        raise AuditError(f"{link}: is in the way; an audit puts a link there")
    link.symlink_to(place)
