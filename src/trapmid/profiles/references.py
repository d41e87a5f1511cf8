"""Which rows of params.yaml a row names: by a key, or by the file that another row makes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

NAMED = {
    "data": "data",
    "training": "classifier_training",
    "target": "targets",
    "evaluator": "evaluators",
}
"""Key of a row -> the section that has what it names."""

_MADE = {
    "data/raw/": "raw",
    "models/evaluators/": "evaluators",
    "models/pretrained/": "pretrained",
    "models/targets/": "targets",
    "models/surrogates/": "surrogates",
    "models/leaks/": "leaks",
    "models/signatures/": "signatures",
    "models/judges/": "trained_judges",
    "data/features/judges/": "judges",
    "models/priors/public/": "public_priors",
    "models/priors/guided/": "guided_priors",
}
"""Folder of what stages make -> the section whose rows make it."""
_ROW = re.compile(r"[^/]+?(?=\.pt$|/|$)")


class Reference(NamedTuple):
    """A row that another one names."""

    section: str
    row: str


def texts(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(dotted key, value) of every text in a row."""
    for key, value in node.items():
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, Mapping):
            yield from ((f"{key}.{below}", text) for below, text in texts(value))


def made_by(path: str) -> Reference | None:
    """The row that makes a file or folder; None: no row does."""
    for folder, section in _MADE.items():
        found = _ROW.match(path.removeprefix(folder)) if path.startswith(folder) else None
        if found:
            return Reference(section, found[0])
    return None


def of_row(row: Mapping[str, Any]) -> Iterator[Reference]:
    """Everything that a row names, whether it is there or not; the text of a list is no row's."""
    yield from (Reference(section, str(row[key])) for key, section in NAMED.items() if key in row)
    yield from (made for _, text in texts(row) if (made := made_by(text)) is not None)
