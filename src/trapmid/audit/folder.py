"""The folder of an audit: a DVC repository of its own that runs the stages of this checkout."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML

from trapmid.artifacts.checkpoints import write_atomically
from trapmid.artifacts.initial import PROGRAM
from trapmid.audit.people import AuditError
from trapmid.config import params
from trapmid.profiles import preflight
from trapmid.profiles.compose import compose
from trapmid.profiles.layers import layered
from trapmid.profiles.sections import ProfileError
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

    def is_of_another(self, model: bytes) -> bool:
        """Whether the audit of another model file is there, perhaps of an older state of it."""
        there = self.path / MODEL
        return there.is_file() and there.read_bytes() != model

    def write(self, overlay: Mapping[str, Any], model: bytes, links: Mapping[str, Path]) -> None:
        """Everything but results; what a study there had computed stays, and counts if it fits.

        What is wrong with the profile, or in the way, is found before anything is written.

        Args:
            overlay: the profile.
            model: the bytes of its .pt2 file.
            links: by path under the folder, the folders of images.

        Raises:
            AuditError: params.yaml cannot be made of the profile, or a file is in the way.
            ProfileError: the profile under it cannot be read.
        """
        profile = _text(overlay)
        study = self._params(profile, str(overlay["base"]))
        profiles = {f"profiles/{one.name}": one for one in self._profiles()}
        linked = {
            name: place.absolute() for name, place in {**self._links(), **profiles, **links}.items()
        }
        for name in linked:
            _check_free(self.path / name)
        with self._undone_if_it_fails():
            # First: with a params.yaml a folder is an audit, which the same command takes up again.
            write_atomically(self.path / "params.yaml", study.encode())
            write_atomically(self.path / f"profiles/{STUDY}.yaml", profile.encode())
            for name, place in linked.items():
                _link(self.path / name, place)
            for name in _COPIED:
                write_atomically(self.path / name, (self.project / name).read_bytes())
            write_atomically(self.path / MODEL, model)
            if not (self.path / ".dvc").is_dir():
                self.dvc("init", "--no-scm", "--quiet")

    def _links(self) -> dict[str, Path]:
        return {name: self.project / name for name in _LINKED}

    def rows(self, profile: str, section: str) -> Mapping[str, Any]:
        """The rows of a section as a profile of the project and its bases write them.

        Raises:
            ProfileError: there is no such profile, or it is wrong; one line.
        """
        return layered(profile, self.project / "profiles", (), {}).get(section) or {}

    def _profiles(self) -> list[Path]:
        """Those of the project; the audit's own is no link, whatever the project has."""
        found = (self.project / "profiles").glob("*.yaml")
        return sorted(one for one in found if one.stem != STUDY)

    def _params(self, profile: str, base: str) -> str:
        """The text of params.yaml, composed outside of the folder.

        Raises:
            AuditError: no row has the audited model, or a row or block cannot be built.
            ProfileError: the profile under it cannot be read.
        """
        with TemporaryDirectory() as name:
            scratch = Path(name)
            for one in self._profiles():
                (scratch / one.name).symlink_to(one)
            (scratch / f"{STUDY}.yaml").write_text(profile, encoding="utf-8")
            try:
                text = compose(STUDY, None, scratch)
            except ProfileError as error:
                raise ProfileError(str(error).replace(name, "profiles")) from None
        rows = params.parse(text)["targets"].values()
        if not any(row.get("arch") == PROGRAM and row.get("init") == MODEL for row in rows):
            raise AuditError(
                f"--profile {base} has no row for the audited model; use audit or audit_drawn"
            )
        if found := preflight.problems(text):
            raise AuditError(f"--profile {base}: {found[0]}")
        return text

    @contextmanager
    def _undone_if_it_fails(self) -> Iterator[None]:
        """A folder that had nothing in it is left so, and one that was not there goes."""
        there = self.path.exists()
        if there and any(self.path.iterdir()):
            yield
            return
        made = [one for one in self.path.parents if not one.exists()]
        try:
            yield
        except BaseException:
            shutil.rmtree(self.path, ignore_errors=True)
            with suppress(OSError):
                if there:
                    self.path.mkdir()
                for one in made:
                    one.rmdir()
            raise

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


def _text(overlay: Mapping[str, Any]) -> str:
    stream = io.StringIO()
    stream.write("# Written by `trapmid audit`.\n")
    YAML().dump(dict(overlay), stream)
    return stream.getvalue()


def _check_free(link: Path) -> None:
    if link.exists() and not link.is_symlink():
        raise AuditError(f"{link}: is in the way; an audit puts a link there")


def _link(link: Path, place: Path) -> None:
    """A symbolic link, made anew where it leads elsewhere."""
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink():
        if Path(os.readlink(link)) == place:
            return
        link.unlink()
    link.symlink_to(place)
