"""One core for every test: the suite shares a small machine with whatever else runs there."""

from __future__ import annotations

import os

# Before torch is loaded: a thread pool that exists spins, however few of its threads are used.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# isort: split
import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)
