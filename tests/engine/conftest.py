"""Repositories for the engine's tests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_graph import DVC_YAML, WORK, Repository, quiet


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """One in which nothing has run. Not to be changed: `make_repository` copies it."""
    root = tmp_path_factory.mktemp("fresh") / "repository"
    root.mkdir()
    made = Repository(root)
    (root / "dvc.yaml").write_text(DVC_YAML, encoding="utf-8")
    (root / "work.sh").write_text(WORK, encoding="utf-8")
    (root / "source").write_text("1\n", encoding="utf-8")
    made.write()
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    made.dvc("init", "--quiet")
    return made


@pytest.fixture(scope="session")
def finished(fresh: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """One that `dvc repro` has finished. Not to be changed: `plain` is a copy."""
    made = fresh.copy(tmp_path_factory.mktemp("finished") / "repository")
    subprocess.run(["dvc", "repro", "--quiet"], cwd=made.root, env=quiet(), check=True)
    return made


@pytest.fixture
def make_repository(fresh: Repository, tmp_path: Path) -> Callable[[str], Repository]:
    """Makes such repositories, equal to the byte."""
    return lambda name: fresh.copy(tmp_path / name)


@pytest.fixture
def plain(finished: Repository, tmp_path: Path) -> Repository:
    """A repository of its own that `dvc repro` has finished."""
    return finished.copy(tmp_path / "plain")
