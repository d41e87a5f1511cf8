"""The first table of docs/reproduce.md: of each of the paper's tables the command and its study."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import shipped
from trapmid.config import params
from trapmid.report.published import tables

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = tables.read(ROOT / "reports" / "paper")
_DOCUMENT = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8")
_LINE = re.compile(r"^\| (\d+) \|[^|]*\|([^|]*)\|[^|]*\| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)


class Line(NamedTuple):
    """A line of the document's first table."""

    table: int
    profile: str  # "": none
    seeds: str
    count: str

    @property
    def command(self) -> list[str]:
        """What the document says to type behind `trapmid`."""
        only = ["--seeds", "0"] if self.seeds == "0" else []
        return ["profile", self.profile, "--table", str(self.table), *only]


LINES = [
    Line(int(table), profile.strip().strip("`"), seeds, count)
    for table, profile, seeds, count in _LINE.findall(_DOCUMENT)
]
ANSWERED = [line for line in LINES if line.profile]


def name(line: Line) -> str:
    """Of a test of the line."""
    return f"table {line.table}"


def numbers(table: int) -> list[tables.Number]:
    return [one for one in PUBLISHED.numbers if one.table == table]


@cache
def composed(line: Line) -> dict[str, Any]:
    """The params.yaml of its command."""
    own = (0,) if line.seeds == "0" else None
    return params.parse(shipped.of_table(line.profile, line.table, own))
