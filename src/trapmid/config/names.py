"""Names of params.yaml: they become parts of paths, of DVC's stages and of dotted parameters.

A params.yaml may come from somebody else: a row that is called `../../src` would be a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from trapmid.config.params import BLOCKS, ParamsError
from trapmid.config.study import ROWS

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_PROFILE = re.compile(rf"{_NAME.pattern}(\.[A-Za-z0-9_-]+)*( --table [0-9]+)?")
_SECTIONS = (*ROWS, "classifier_training", *dict.fromkeys(BLOCKS.values()))
_FIELDS = ("attack", "defense", "surrogate")  # fields of rows that name pictures


def check(name: object, where: str) -> None:
    """Refuses a name of anything but letters, digits, _ and -; no - in front.

    Args:
        name: what a row, a block, an attack or a defence is called.
        where: what stands in front of the message.

    Raises:
        ParamsError: one line, whatever the name holds.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ParamsError(f"{where}: the name {name!r} must be of A-Z, a-z, 0-9, _ and - alone")


def check_profile(name: str) -> None:
    """Refuses a profile whose name is no file's: as `check`, with single dots inside.

    Of a part that `trapmid profile NAME --table N` wrote, ` --table N` stands behind the name.

    Raises:
        ParamsError: one line, whatever the name holds.
    """
    if not _PROFILE.fullmatch(name):
        raise ParamsError(
            f"profile: the name {name!r} must be of A-Z, a-z, 0-9, _, - and .; "
            "--table N may stand behind it"
        )


def problems(content: Mapping[str, Any]) -> Iterator[str]:
    """A line for every wrong name in a params.yaml; what is no mapping is left to others."""
    for name, where in _names(content):
        try:
            check(name, where)
        except ParamsError as error:
            yield str(error)
    if isinstance(profile := content.get("profile"), str):
        try:
            check_profile(profile)
        except ParamsError as error:
            yield str(error)


def _names(content: Mapping[str, Any]) -> Iterator[tuple[object, str]]:
    """(name, where it stands) of sections, rows and blocks, and of what rows name pictures by."""
    yield from ((name, "params.yaml") for name in content)
    for section in _SECTIONS:
        for name, row in _items(content.get(section)):
            yield name, section
            fields = dict(_items(row)) if section in ROWS else {}
            yield from (
                (fields[key], f"{section}.{name}.{key}") for key in _FIELDS if key in fields
            )


def _items(node: Any) -> Iterator[tuple[Any, Any]]:
    yield from node.items() if isinstance(node, Mapping) else ()
