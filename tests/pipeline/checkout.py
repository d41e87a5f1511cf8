"""A copy of this project in a folder of its own, in which tests run DVC and single stages.

The copy's `src` comes first in PYTHONPATH, so that `python stages/x.py` runs the copy's code and
not that of an editable installation.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from graph import Stage
from ruamel.yaml import YAML

import forked
from trapmid.profiles.compose import compose
from trapmid.profiles.sections import FANNED

if TYPE_CHECKING:
    from dvc.repo import Repo

ROOT = Path(__file__).resolve().parents[2]

# What a stage or the graph reads. No results: a copy begins with nothing computed.
_PARTS = (
    ".dvc/config",
    ".dvcignore",
    ".gitignore",
    "Makefile",
    "data/README.md",
    "docs",
    "dvc.yaml",
    "models/README.md",
    "profiles",
    "reports/paper",
    "src/trapmid",
    "stages",
    "weights",
)
_NO_INPUTS = {".dvc", ".git", ".scratch", "__pycache__", ".mlflow.lock", "mlartifacts", "mlflow.db"}
_MADE_BESIDE = "mlflow.db.new-"  # the folder in which that file is made
_RUNNING = re.compile(r"^Running stage '([^']+)'", re.MULTILINE)


class Watched(NamedTuple):
    """What a stage did; paths are relative to the copy's root."""

    opened: set[str]
    called: list[tuple[Path, int]]  # file and line at which a function begins
    asked: set[str]  # dotted paths in params.yaml; "" is all of it


class Checkout:
    """One such copy.

    Args:
        root: its folder.
        real: whether every command is a process of its own, never a fork.
    """

    def __init__(self, root: Path, real: bool = False) -> None:
        self.root = root
        self._real = real

    @classmethod
    def make(cls, root: Path, profile: str = "toy", seeds: list[int] | None = None) -> Checkout:
        """Copies the project to `root`, a new Git and DVC repository, with `profile` chosen."""
        root.mkdir(parents=True)
        for part in _PARTS:
            source, copy = ROOT / part, root / part
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy)
            else:
                shutil.copy2(source, copy)
        for own in Path(__file__).parent.glob("*.yaml"):
            shutil.copy2(own, root / "profiles")
        made = cls(root)
        made.choose(profile, seeds)
        made.git("init", "--quiet")
        made.commit("a copy for tests")
        return made

    def copy(self, root: Path) -> Checkout:
        """All of it, results and DVC's cache included, at `root`; MLflow's store stays behind."""
        shutil.copytree(self.root, root, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts"))
        return Checkout(root, self._real)

    def choose(self, profile: str, seeds: list[int] | None = None) -> None:
        """Writes params.yaml, as `trapmid profile` does."""
        text = compose(profile, seeds, self.root / "profiles")
        (self.root / "params.yaml").write_text(text, encoding="utf-8")

    def without(self, gone: Callable[[str], bool]) -> str:
        """Writes a profile: `toy` without the rows that `gone` names by section.row; its name."""
        rows = YAML(typ="safe").load(compose("toy", [0], self.root / "profiles"))
        names = {s: [row.removesuffix("-0") for row in rows[s]] for s in FANNED}
        lines = {
            section: {row: None for row in found if gone(f"{section}.{row}")}
            for section, found in names.items()
        }
        text = json.dumps({"base": "toy", **lines})
        (self.root / "profiles" / "less.yaml").write_text(text, encoding="utf-8")
        return "less"

    def commit(self, message: str) -> None:
        """All that Git does not ignore."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replaces the only `old` in a text file."""
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path} has {text.count(old)} times {old!r}"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def append(self, path: str, text: str) -> None:
        with (self.root / path).open("a", encoding="utf-8") as stream:
            stream.write(text)

    # --- running -------------------------------------------------------------------------------

    def dvc(self, *words: str) -> str:
        """Runs DVC; returns what it printed."""
        code, printed = self.python("-m", "dvc", *words)
        assert code == 0, f"dvc {' '.join(words)}:\n{printed}"
        return printed

    @contextmanager
    def dvc_inside(self) -> Iterator[Repo]:
        """The copy as DVC's Python interface has it: questions cost no start of a process."""
        from dvc.repo import Repo

        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # DVC's own: as a command it shows none
            patch.chdir(self.root)
            patch.delenv("DVC_ROOT", raising=False)
            patch.setenv("DVC_SITE_CACHE_DIR", self.environment()["DVC_SITE_CACHE_DIR"])
            with Repo(str(self.root)) as repo:
                yield repo

    def trapmid(self, *words: str) -> tuple[int, str]:
        """Runs the copy's `trapmid`; returns exit code and what it printed."""
        if words[0] in ("audit", "run"):  # which start processes, and look after them
            return self.process(sys.executable, "-m", "trapmid.cli", *words)
        return self.python("-m", "trapmid.cli", *words)

    def stage(self, command: str) -> tuple[int, str]:
        """Runs `stages/<command>`; returns exit code and what it printed."""
        script, *words = command.split()
        return self.python(f"stages/{script}.py", *words)

    def python(self, *words: str) -> tuple[int, str]:
        """As `process`, Python: as a fork of a process that has loaded torch and DVC."""
        if self._real:
            return self.process(sys.executable, *words)
        return forked.python(words, self.root, self.environment())

    def process(self, *words: str) -> tuple[int, str]:
        """Runs a process of its own; returns exit code and what it printed."""
        process = self.start(*words)
        printed, _ = process.communicate()
        return process.returncode, printed

    def digest_code(self) -> None:
        """What `dvc repro code` does, in this process: the script, and then what DVC records."""
        assert self.inside("digest_code") is None
        with self.dvc_inside() as repo:
            repo.commit("code", force=True)

    def inside(self, command: str) -> str | None:
        """Runs `stages/<command>` in this process, which costs no start of torch.

        Returns:
            Its error, None if it had none.
        """
        script, *words = command.split()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.root)
            patch.setenv("TRAPMID_DEVICE", "cpu")
            patch.delenv("DVC_ROOT", raising=False)
            patch.setattr(sys, "argv", [f"stages/{script}.py", *words])
            for module in ("_stage", "_unchanged"):  # they learn at their import who runs
                patch.delitem(sys.modules, module, raising=False)
            try:
                runpy.run_path(str(ROOT / "stages" / f"{script}.py"), run_name="__main__")
            except SystemExit as end:
                return str(end.code)
        return None

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Starts a process in the copy; output and errors come through one pipe."""
        return subprocess.Popen(
            words,
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def environment(self) -> dict[str, str]:
        """One core, the CPU, this interpreter, the copy's code, and nothing outside the copy."""
        # A DVC that runs these tests as a stage would otherwise be theirs, too. And without
        # bytecode every process would compile the copy again, a quarter of a second.
        others = ("DVC_", "MLFLOW_", "PYTHONDONTWRITEBYTECODE")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(others)}
        return kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.root / "src"),
            "OMP_NUM_THREADS": "1",
            "TRAPMID_DEVICE": "cpu",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.root / ".dvc" / "tmp" / "site"),
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }

    def audit(self, stages: Mapping[str, Stage]) -> dict[str, Watched]:
        """Runs `stages` in this order without DVC; returns what each opened, called and asked for.

        Files of Git, DVC, MLflow and the interpreter, and unfinished work, are left out: they are
        nobody's inputs.
        """
        result = self.root / ".scratch" / "audit.json"
        result.parent.mkdir(exist_ok=True)
        commands = {name: stage.cmd.split()[1:] for name, stage in stages.items()}
        script = Path(__file__).with_name("audit.py")
        process = subprocess.run(
            [sys.executable, "-B", str(script), str(result)],
            input=json.dumps(commands),
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stdout + process.stderr
        found: dict[str, Watched] = {}
        for name, seen in json.loads(result.read_text(encoding="utf-8")).items():
            files = [Path(file) for file in seen["opened"]]
            inside = [file.relative_to(self.root) for file in files if self.root in file.parents]
            found[name] = Watched(
                {
                    path.as_posix()
                    for path in inside
                    if not _NO_INPUTS & {*path.parts}
                    and not path.name.startswith(_MADE_BESIDE)
                    # A folder is opened only to have a new name in it on the disk.
                    and not (self.root / path).is_dir()
                },
                [(Path(file).relative_to(self.root), line) for file, line in seen["called"]],
                set(seen["asked"]),
            )
        return found

    # --- reading -------------------------------------------------------------------------------

    def repro(self, *words: str) -> list[str]:
        """`dvc repro`; returns the stages that it ran, in order."""
        return _RUNNING.findall(self.dvc("repro", *words))

    def changed(self) -> set[str]:
        """The stages whose own inputs changed: the keys of `dvc status --json`."""
        with self.dvc_inside() as repo:
            return set(repo.status())

    def stale(self) -> set[str]:
        """The stages whose inputs changed, and everything downstream of them."""
        return self.downstream(self.changed())

    def downstream(self, stages: Iterable[str]) -> set[str]:
        """`stages` and everything that depends on them."""
        with self.dvc_inside() as repo:
            pairs = list(repo.index.graph.edges)
            edges = [(above.addressing, below.addressing) for below, above in pairs]
        found = set(stages)
        while more := {below for above, below in edges if above in found} - found:
            found |= more
        return found

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def scores(self) -> dict[str, bytes]:
        """Every metrics file, by path."""
        reports = self.root / "reports"
        files = [
            reports / "metrics.json",
            reports / "summary.json",
            *(reports / "scores").rglob("*.json"),
        ]
        files += (reports / "data").glob("*.json")
        return {file.relative_to(self.root).as_posix(): file.read_bytes() for file in files}

    def half_written(self) -> list[Path]:
        """Temporary files that a stage left outside its scratch folder."""
        folders = (self.root / name for name in ("data", "models", "reports"))
        return [file for folder in folders for file in folder.rglob("*.tmp")]

    def git(self, *words: str) -> None:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        subprocess.run(["git", *identity, *words], cwd=self.root, check=True)
