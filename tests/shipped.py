"""The project's own profiles: each is composed once for all tests of a process."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from trapmid.profiles.compose import compose

PROFILES = Path(__file__).parents[1] / "profiles"
NAMES = sorted(path.stem for path in PROFILES.glob("*.yaml"))
LARGE = [name for name in NAMES if name.startswith(("attacks", "paper"))]  # hundreds of rows
LARGE_ARE_SLOW = [
    pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in NAMES
]
"""Of a test for which the rows of a large profile take a second or more."""


@functools.cache
def text(name: str) -> str:
    """The params.yaml of a profile, for its own seeds."""
    return compose(name, folder=PROFILES)
