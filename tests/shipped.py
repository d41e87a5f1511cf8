"""The project's own profiles: each is composed once for all tests of a process."""

from __future__ import annotations

import functools
from pathlib import Path

from trapmid.profiles.compose import compose

PROFILES = Path(__file__).parents[1] / "profiles"
NAMES = sorted(path.stem for path in PROFILES.glob("*.yaml"))


@functools.cache
def text(name: str) -> str:
    """The params.yaml of a profile, for its own seeds."""
    return compose(name, folder=PROFILES)
