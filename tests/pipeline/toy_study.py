"""The toy study: computed once by `trapmid run --jobs auto`, copied by every test that changes it.

It takes half the time of `dvc repro`, whose books, files and scores are the same: so say
`test_side_by_side` and every test that asks `dvc status` or `dvc repro` what is left to do.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import graph
import pytest
from checkout import Checkout, Watched
from filelock import FileLock


@dataclass(frozen=True)
class Audited:
    """A second toy study, in a folder of its own, whose stages ran without DVC and were watched."""

    study: Checkout
    stages: dict[str, graph.Stage]
    watched: dict[str, Watched]  # by the name of the stage


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    made = Checkout.make(tmp_path_factory.mktemp("audited") / "elsewhere")
    stages = graph.in_order(graph.load(made.root))
    return Audited(made, stages, made.audit(stages))


@pytest.fixture(scope="session")
def studied(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Checkout:
    """A finished toy study. Look, do not touch: take a `study` to change something.

    Its commands, and those of its copies, are processes of their own: `test_side_by_side` is about
    what DVC and its stages do as a person starts them.
    Where several processes share the tests, the first that needs it makes it, and the others wait.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    root, finished = shared / "toy" / "study", shared / "toy-finished"
    with FileLock(shared / "toy.lock"):
        if not finished.exists():
            begun = time.perf_counter()
            code, printed = Checkout.make(root).trapmid("run", "--jobs", "auto")
            assert code == 0, printed
            finished.touch()
            print(f"\nthe toy study took {time.perf_counter() - begun:.0f} s")
    return Checkout(root, real=True)


@pytest.fixture
def study(studied: Checkout, tmp_path) -> Checkout:
    """A copy of the finished toy study, results and cache included."""
    return Checkout(studied.copy(tmp_path / "study").root)
