"""One core for every test: the suite shares a small machine with whatever else runs there."""

from __future__ import annotations

import functools
import gc
import os
from pathlib import Path
from typing import Any

# Before torch is loaded: a thread pool that exists spins, however few of its threads are used.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# isort: split
import pytest
import torch

import shipped
from trapmid.artifacts import sources


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk() -> None:
    """Files of a test need not outlive a cut of the power, and each would wait ten milliseconds."""
    os.fsync = lambda descriptor: None  # type: ignore[assignment]


@pytest.fixture(autouse=True, scope="session")
def source_files_are_taken_apart_once() -> None:
    """A stage that runs in this process asks for the same text of a file again and again."""
    sources._Module = functools.cache(sources._Module)  # type: ignore[misc, assignment]


@pytest.fixture(autouse=True, scope="session")
def profiles_are_composed_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where several processes share the tests, one of them does it for all."""
    base = tmp_path_factory.getbasetemp()
    shipped.kept = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "profiles"
    shipped.kept.mkdir(exist_ok=True)


# Files that take longest, and one that computes the toy study, for which others would wait: they
# begin early, so that no process is left alone with them at the end.
FIRST = (
    *("pipeline/test_exactness", "engine/test_session", "examples/test_examples"),
    *("benchmarks/test_on_gpu", "pipeline/test_planted_faults", "audit/test_auditing"),
    *("pipeline/test_dvc", "benchmarks/test_bench", "pipeline/test_side_by_side"),
    *("foreign/test_importing", "test_reference", "planning/test_plan", "tracking/test_store"),
    *("profiles/test_preflight", "report/test_page", "targets/test_targets"),
    *("attacks/test_attacks", "priors/test_priors", "pipeline/test_audit"),
    *("pipeline/test_recipes", "pipeline/test_bad_inputs", "pipeline/test_crash"),
    *("pipeline/test_sharing",),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files of `FIRST` first, where several processes share the files (Makefile)."""
    ranks = {Path(__file__).parent / f"{name}.py": rank for rank, name in enumerate(FIRST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@pytest.hookimpl(optionalhook=True)  # pytest-xdist's: a machine that tests a GPU may lack it
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Whole files for a plain `pytest -n 2`, too: else each process makes what a file shares."""
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector of garbage need not look through it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)  # a twelfth of the time, by Python's own numbers
