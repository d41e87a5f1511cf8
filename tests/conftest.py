"""One core for every test: the suite shares a small machine with whatever else runs there."""

from __future__ import annotations

import functools
import gc
import os

# Before torch is loaded: a thread pool that exists spins, however few of its threads are used.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# isort: split
import pytest
import torch

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


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector of garbage need not look through it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # a twelfth of the time, by Python's own
