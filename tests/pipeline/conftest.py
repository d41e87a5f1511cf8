"""The toy study: computed once by a real `dvc repro`, copied by every test that changes it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import graph
import pytest
from checkout import Checkout, Watched


@dataclass(frozen=True)
class Audited:
    """A second toy study, in a folder of its own, whose stages ran without DVC and were watched."""

    study: Checkout
    stages: dict[str, graph.Stage]
    watched: dict[str, Watched]  # by the name of the stage


@pytest.fixture(scope="session")
def auditing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[Audited]]:
    """The second study on its way: a second core runs it beside the first."""
    made = Checkout.make(tmp_path_factory.mktemp("audited") / "elsewhere")
    stages = graph.in_order(graph.load(made.root))
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(lambda: Audited(made, stages, made.audit(stages)))


@pytest.fixture(scope="session")
def studied(tmp_path_factory: pytest.TempPathFactory, auditing: Future[Audited]) -> Checkout:
    """A finished toy study. Look, do not touch: take a `study` to change something."""
    made = Checkout.make(tmp_path_factory.mktemp("toy") / "study")
    begun = time.perf_counter()
    made.repro()
    print(f"\nthe toy study took {time.perf_counter() - begun:.0f} s")
    return made


@pytest.fixture(scope="session")
def audited(studied: Checkout, auditing: Future[Audited]) -> Audited:
    return auditing.result()


@pytest.fixture
def study(studied: Checkout, tmp_path) -> Checkout:
    """A copy of the finished toy study, results and cache included."""
    return studied.copy(tmp_path / "study")
