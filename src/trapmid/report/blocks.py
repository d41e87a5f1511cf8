"""What a section of the report is made of; how it is written is said in `markdown`.

A string among the blocks is Markdown; every other text is shown as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pandas as pd


class Line(NamedTuple):
    """A line of a table."""

    cells: Sequence[str]
    kind: str = ""  # mean | reference | failed | "": a plain line, or a part of the mean above it


class Table(NamedTuple):
    """A table of words and numbers as they are shown."""

    frame: pd.DataFrame  # of strings; the index has the kinds of the lines
    columns: str  # a letter each: l, words in one line; r, a number; p, words that may wrap


class Picture(NamedTuple):
    path: str  # under reports/
    caption: str
    alt: str = ""  # what one would tell somebody who does not see it; empty: the caption


class Pictures(NamedTuple):
    """Pictures, so many side by side."""

    shown: Sequence[Picture]
    side_by_side: int = 1


class Fold(NamedTuple):
    """What stands behind a click."""

    title: str
    blocks: Sequence[Block]
    opened: bool = False


class Note(NamedTuple):
    """What must not be overlooked."""

    kind: str  # caution: do not go on; warning; tip: all is well
    text: str  # Markdown


Block = str | Table | Pictures | Fold | Note


class Section(NamedTuple):
    title: str
    blocks: Sequence[Block]


def table(columns: str, heads: Sequence[str], lines: Iterable[Line | Sequence[str]]) -> Table:
    """A table of lines; cells alone are a plain line.

    Args:
        columns: as in `Table`; its last letter stands for the columns after it, too.
        heads: the names of the columns.
        lines: as many cells each as there are columns.
    """
    full = [line if isinstance(line, Line) else Line(line) for line in lines]
    cells, kinds = [list(line.cells) for line in full], [line.kind for line in full]
    frame = pd.DataFrame(cells, index=kinds, columns=list(heads))
    return Table(frame, columns.ljust(len(heads), columns[-1]))


def folded(
    title: str, shown: Sequence[Picture], side_by_side: int, *, opened: bool = False
) -> Fold:
    """Pictures behind a click that says how many there are."""
    words = f"{title}: {len(shown)} picture{'s' * (len(shown) != 1)}"
    return Fold(words, [Pictures(shown, side_by_side)], opened)
