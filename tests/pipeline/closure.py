"""Which source files of this project a file imports, read from its text."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_ROOTS = (ROOT / "src", ROOT / "stages")


@cache
def direct(file: Path) -> frozenset[Path]:
    """The files of this project that `file` imports itself; packages' empty __init__ left out."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found |= {path for name in names if (path := _find(name)) is not None}
    return frozenset(found)


def closure(*files: Path) -> set[Path]:
    """`files` and everything that they import, directly or not, as absolute paths."""
    seen: set[Path] = set()
    todo = list(files)
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo += direct(file)
    return seen


def _find(name: str) -> Path | None:
    for root in _ROOTS:
        path = root.joinpath(*name.split(".")).with_suffix(".py")
        if path.is_file():
            return path
    return None
