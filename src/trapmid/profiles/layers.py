"""A profile over its base: reads the files of `profiles/` and merges one onto the other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from trapmid.config.renamed import old_names
from trapmid.profiles.sections import AUDIT, CLASSIFIERS, ROWS, STAR, ProfileError
from trapmid.profiles.text import round_trip

_OWN_KEYS = (AUDIT, "base", "defaults", "profile", "seeds")
_REMARK = re.compile(r"^(\w+):[^#'\"\n]*# (.*)$", re.MULTILINE)


def layered(
    name: str, folder: Path, above: tuple[str, ...], remarks: dict[str, str]
) -> CommentedMap:
    """The profile over its base, and that over its own; `above`: who asked."""
    if name in above:
        raise ProfileError(f"{folder / name}.yaml: its bases lead back to it")
    overlay = _load(name, folder, remarks)
    base_name = overlay.pop("base", None)
    if base_name is None:
        for section in {*ROWS} & {*overlay}:
            overlay[section] = _merge_rows(CommentedMap(), overlay[section], f"{name}: {section}")
        return overlay
    base = layered(str(base_name), folder, (*above, name), remarks)
    known = {*base, *_OWN_KEYS}
    for key, value in overlay.items():
        if key in ROWS:
            _merge_rows(base.setdefault(key, CommentedMap()), value, f"{name}: {key}")
        else:
            merge(base, {key: value})
    if unknown := sorted(set(overlay) - known - _blocks_of_classifiers(base)):
        raise ProfileError(
            f"{folder / name}.yaml: unknown {unknown}; neither in {base_name}.yaml nor the `block` "
            "of a target"
        )
    return base


def _blocks_of_classifiers(content: CommentedMap) -> set[str]:
    """The blocks that rows of classifiers name, or have by their method's or their own name."""
    rows = [row for section in CLASSIFIERS for row in (content.get(section) or {}).items()]
    return {row.get("block", row.get("method", key)) for key, row in rows if row is not None}


def _load(name: str, folder: Path, remarks: dict[str, str]) -> CommentedMap:
    """The content of a profile; adds the comments of its sections to `remarks`."""
    path = folder / f"{name}.yaml"
    if not folder.is_dir():
        raise ProfileError(f"{folder}: no such folder; run this at the root of the project")
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
        raise ProfileError(f"no profile {name!r} in {folder}/; there are {known}")
    try:
        text = path.read_text(encoding="utf-8")
        content = round_trip().load(text)
    except YAMLError as error:
        raise ProfileError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(content, CommentedMap):
        raise ProfileError(f"{path}: must hold a mapping")
    for line in old_names(content):
        raise ProfileError(f"{path}: {line}")
    remarks |= dict(_REMARK.findall(text))
    return content


def merge(base: CommentedMap, overlay: Mapping[str, Any]) -> None:
    """Merges `overlay` onto `base` in place, key by key; what is no mapping is replaced."""
    for key, value in overlay.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping):
            merge(base[key], value)
        else:
            base[key] = value


def _merge_rows(base: CommentedMap, overlay: Any, where: str) -> CommentedMap:
    """Merges rows of `overlay` onto those of `base`, in place; null takes a row away.

    Null stays where a row with a star would otherwise make the row again.
    """
    if not isinstance(overlay, Mapping):
        raise ProfileError(f"{where} must be a mapping, is {overlay!r}")
    for row, block in overlay.items():
        if not isinstance(block, Mapping | None):
            raise ProfileError(f"{where}.{row}: must be a mapping, is {block!r}")
        if block is not None:
            merge(base, {row: block})
    for row in (row for row, block in overlay.items() if block is None):
        there = base.pop(row, None)
        if any(_covers(star, row) for star in base):
            base[row] = None
        elif there is None:
            raise ProfileError(f"{where}.{row}: null takes a row away, and there is none")
    return base


def _covers(star: str, row: str) -> bool:
    """Whether the row with a star may make `row`."""
    before, found, after = star.partition(STAR)
    return bool(found) and row != star and row.startswith(before) and row.endswith(after)
