"""A folder of two profiles, one over the other."""

from __future__ import annotations

import pytest
from texts import PAPER, SMALL


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "profiles"
    made.mkdir()
    (made / "small.yaml").write_text(SMALL, encoding="utf-8")
    (made / "paper.yaml").write_text(PAPER, encoding="utf-8")
    return made
