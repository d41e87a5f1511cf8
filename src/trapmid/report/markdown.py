"""Sections as Markdown, the dialect of GitHub: tables, folds, and quotes that are alerts."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from trapmid.report.blocks import Block, Fold, Note, Picture, Pictures, Section, Table

_RULES = {"l": ":--", "r": "--:", "p": "---"}
"""Under the head of a column; `---` is set left, too, and style.css lets it wrap."""

_MARKS = {"mean": "**", "reference": "*", "failed": "***"}
"""Around the cells of a line of that kind."""

_SPECIAL = re.compile(r"[\\`*|<]|&(?=[#\w]+;)|(?<![^\W_])_|_(?![^\W_])")
"""What would be Markdown; an underscore inside a word is none."""


def document(sections: Iterable[Section]) -> str:
    """The sections below each other."""
    return "\n\n".join(f"## {one.title}\n\n{_below_each_other(one.blocks)}" for one in sections)


def anchor(title: str) -> str:
    """The address of a heading inside its page."""
    return re.sub(r"[^\w-]", "", title.lower().replace(" ", "-"))


def escaped(text: str) -> str:
    """A text that Markdown shows as it stands, in one line."""
    return _SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))


def written(block: Block) -> str:
    """A block as Markdown, without the empty lines around it."""
    match block:
        case Table():
            return _table(block)
        case Pictures():
            return _pictures(block)
        case Fold():
            return _fold(block)
        case Note():
            return _note(block)
        case _:
            return block.strip()


def _table(block: Table) -> str:
    lines = (
        [_marked(cell, _MARKS.get(kind, "")) for cell in cells]
        for kind, *cells in block.frame.itertuples(name=None)
    )
    heads = [escaped(head) for head in block.frame.columns]
    return _grid(heads, [_RULES[letter] for letter in block.columns], lines)


def _pictures(block: Pictures) -> str:
    width = block.side_by_side
    if width == 1:
        return "\n\n".join(f"{_caption(one)}\\\n{_image(one)}" for one in block.shown)
    cells = [f"{_caption(one)} {_image(one)}" for one in block.shown]
    first, *others = (cells[start : start + width] for start in range(0, len(cells), width))
    return _grid(first, ["---"] * len(first), others)


def _fold(block: Fold) -> str:
    title = html.escape(block.title, quote=False)
    head = f"<details{' open' * block.opened}>\n<summary>{title}</summary>"
    return f"{head}\n\n{_below_each_other(block.blocks)}\n\n</details>"


def _note(block: Note) -> str:
    lines = [f"[!{block.kind.upper()}]", *block.text.splitlines()]
    return "\n".join(f"> {line}".rstrip() for line in lines)


def _below_each_other(blocks: Iterable[Block]) -> str:
    return "\n\n".join(written(block) for block in blocks)


def _grid(first: Sequence[str], rules: Sequence[str], others: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (first, rules, *others))


def _marked(cell: str, mark: str) -> str:
    return f"{mark}{escaped(cell)}{mark}" if cell else ""


def _caption(picture: Picture) -> str:
    return f"*{escaped(picture.caption)}*"


def _image(picture: Picture) -> str:
    return f"![{escaped(picture.alt or picture.caption)}]({quote(picture.path)})"
