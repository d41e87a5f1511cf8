"""Repositories for the engine's tests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_graph import DVC_YAML, WORK, Repository


@pytest.fixture
def make_repository(tmp_path: Path) -> Callable[[str], Repository]:
    """Makes such repositories, equal to the byte."""

    def make(name: str) -> Repository:
        root = tmp_path / name
        root.mkdir()
        made = Repository(root)
        (root / "dvc.yaml").write_text(DVC_YAML, encoding="utf-8")
        (root / "work.sh").write_text(WORK, encoding="utf-8")
        (root / "source").write_text("1\n", encoding="utf-8")
        made.write()
        subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
        made.dvc("init", "--quiet")
        return made

    return make
