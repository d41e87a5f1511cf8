"""The project's own profiles: each is composed once for all tests of a run."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

# Of trapmid nothing is imported here: a bare machine on which the tests of a GPU run has no YAML.

PROFILES = Path(__file__).parents[1] / "profiles"
NAMES = sorted(path.stem for path in PROFILES.glob("*.yaml"))
LARGE = [name for name in NAMES if name.startswith(("attacks", "paper"))]  # hundreds of rows
LARGE_ARE_SLOW = [
    pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in NAMES
]
"""Of a test for which the rows of a large profile take a second or more."""


kept: Path | None = None
"""A folder for what was composed, which the processes that share the tests share (conftest.py)."""


@functools.cache
def text(name: str, seeds: tuple[int, ...] | None = None) -> str:
    """The params.yaml of a profile; seeds: None: its own."""
    from trapmid.profiles.compose import compose

    own = None if seeds is None else list(seeds)
    return _once(f"{name}-{seeds}", lambda: compose(name, own, PROFILES))


@functools.cache
def of_table(name: str, table: int, seeds: tuple[int, ...] | None = None) -> str:
    """The params.yaml of what a table of the paper needs of a profile; seeds: None: its own."""
    from trapmid.profiles.compose import compose
    from trapmid.profiles.part import Part
    from trapmid.report.published import rows, tables

    published = tables.read(PROFILES.parent / "reports" / "paper")
    numbers = [one for one in published.numbers if one.table == table]
    part = Part(f"--table {table}", lambda tree: rows.needed(tree, numbers))
    own = None if seeds is None else list(seeds)
    return _once(f"{name}-{table}-{seeds}", lambda: compose(name, own, PROFILES, part))


@functools.cache
def whole(name: str) -> str:
    """A profile over its bases, with the blocks that none of its rows uses."""
    from trapmid.profiles.compose import every_block

    return _once(f"{name}-whole", lambda: every_block(name, PROFILES))


def _once(key: str, make: Callable[[], str]) -> str:
    """What another process made already, or else what this one makes."""
    if kept is None:  # while the tests are collected
        return make()
    file = kept / key
    if not file.exists():
        part = file.with_name(f"{key}.{os.getpid()}")
        part.write_text(make(), encoding="utf-8")
        part.replace(file)
    return file.read_text(encoding="utf-8")
