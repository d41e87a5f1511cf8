"""A row `x-*` of a profile: one row per target."""

from __future__ import annotations

import copy

from ruamel.yaml.comments import CommentedMap

from trapmid.profiles.layers import merge
from trapmid.profiles.sections import STAR, ProfileError


def of_each_target(tree: CommentedMap, section: str, name: str) -> CommentedMap:
    """A row `x-*` becomes one per target, whose name replaces every star of the row's values.

    The row is attacked, or made, of the targets in its key `of`; without one, of all there are.
    A row that is written out, say for a target of another architecture, is merged onto its copy.
    """
    rows = CommentedMap()
    for row, block in tree[section].items():
        if STAR in row:
            for target in _targets(tree, block, f"{name}: {section}.{row}"):
                rows[row.replace(STAR, target)] = _copy(block, target)
    for row, block in tree[section].items():
        if block is None:
            rows.pop(row, None)
        elif STAR not in row:
            if "of" in block:
                where = f"{name}: {section}.{row}"
                raise ProfileError(f"{where}.of: belongs to a row with a star in its name")
            merge(rows, {row: block})
    return _as_written(rows, tree[section], list(tree["targets"]))


def _targets(tree: CommentedMap, block: CommentedMap, where: str) -> list[str]:
    """Of which targets there is a copy of the row `block`, which has a star in its name."""
    targets = block.get("of", list(tree["targets"]))
    named = targets if isinstance(targets, list) else [targets]
    if unknown := [target for target in named if target not in tree["targets"]]:
        known = ", ".join(tree["targets"]) or "none"
        raise ProfileError(f"{where}.of: no {unknown}; there are {known}")
    return named


def _copy(block: CommentedMap, target: str) -> CommentedMap:
    """The row of one target, of a row with a star."""
    copied = copy.deepcopy(block)
    copied.pop("of", None)
    copied.setdefault("target", STAR)
    for key, value in copied.items():
        if isinstance(value, str):
            copied[key] = value.replace(STAR, target)
    return copied


def _as_written(rows: CommentedMap, section: CommentedMap, targets: list[str]) -> CommentedMap:
    """The rows in the order of the profile's: a row with a star where it stands."""
    order = [
        own
        for row in section
        for own in ([row.replace(STAR, target) for target in targets] if STAR in row else [row])
    ]
    return CommentedMap((row, rows[row]) for row in dict.fromkeys(order) if row in rows)
