"""The toy study: computed once by a real `dvc repro`, copied by every test that changes it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

import graph
from checkout import Checkout


@pytest.fixture(scope="session")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A finished toy study. Look, do not touch: take a `study` to change something."""
    import os; from pathlib import Path
    if "TOYHACK" in os.environ: return Checkout(Path(os.environ["TOYHACK"]))
    made = Checkout.make(tmp_path_factory.mktemp("toy") / "study")
    begun = time.perf_counter()
    made.repro()
    print(f"\nthe toy study took {time.perf_counter() - begun:.0f} s")
    return made


@dataclass(frozen=True)
class Audited:
    """A second toy study, in a folder of its own, whose stages ran without DVC and were watched."""

    study: Checkout
    stages: dict[str, graph.Stage]
    opened: dict[str, set[str]]  # files that a stage opened, by its name; relative paths


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    made = Checkout.make(tmp_path_factory.mktemp("audited") / "elsewhere")
    stages = graph.in_order(graph.load(made.root))
    return Audited(made, stages, made.audit(stages))


@pytest.fixture
def study(studied: Checkout, tmp_path) -> Checkout:
    """A copy of the finished toy study, results and cache included."""
    return studied.copy(tmp_path / "study")
