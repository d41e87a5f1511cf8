"""From profiles/<name>.yaml to params.yaml.

params.yaml is the truth that every stage reads and that `dvc exp run -S` edits; a profile is only a
way to write it. One profile is complete; another names it as its `base` and says what differs.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

FOLDER = Path("profiles")

ROWS = (
    "raw",
    "data",
    "evaluators",
    "starts",
    "targets",
    "public_priors",
    "surrogates",
    "leaks",
    "signatures",
    "guided_priors",
    "cells",
)
"""Sections made of rows: an overlay that names one replaces it whole."""

NO_DEFENSES = (
    *ROWS,
    "validation",
    "fits",
    "recipes",
    "surrogacy",
    "attacks",
    "inversion",
    "evaluation",
    "checks",
    "gate",
)
"""Sections that are no block of a defence."""

CLASSIFIERS = ("evaluators", "starts", "targets")
"""Sections whose rows are trained classifiers, each with the `block` of its defence."""

FANNED = ("targets", "surrogates", "leaks", "signatures", "guided_priors", "cells")
"""Sections whose rows are repeated for every seed: the row K becomes K-<seed>."""

IMPLIED: dict[str, dict[str, str]] = {
    "public_priors": {"method": "{recipe}"},
    "surrogates": {"method": "{surrogate}"},
    "signatures": {"leak": "weights/none"},
    "guided_priors": {
        "method": "{recipe}",
        "guide": "models/targets/{target}",
        "knowledge": "weights/none",
    },
    "cells": {
        "method": "{attack}",
        "guide": "models/targets/{target}",
        "knowledge": "weights/none",
    },
}
"""What a row of a profile may leave out, and what it says then: params.yaml is always complete."""

STAR = "*"
"""A row with it in its name stands for one row per target."""

_OWN_KEYS = ("base", "profile", "seeds")
_FILES = {
    "targets": "targets",
    "surrogates": "surrogates",
    "leaks": "leaks",
    "signatures": "signatures",
    "priors/guided": "guided_priors",
}
"""Folder under models -> the section whose rows make it."""
_PRODUCT = re.compile(rf"models/({'|'.join(_FILES)})/([^/.]+)(.*)")


class ProfileError(ValueError):
    """A profile is wrong, or params.yaml must not be replaced; the message is one line."""


def compose(name: str, seeds: list[int] | None = None, folder: Path = FOLDER) -> str:
    """The text of params.yaml for a profile.

    Args:
        name: profiles/<name>.yaml.
        seeds: instead of the profile's own.
        folder: where the profiles are.

    Raises:
        ProfileError: no such profile, an unknown key, a wrong seed or a reference to no row.
    """
    tree = _tree(name, folder)
    fanned = _seeds(tree.get("seeds") if seeds is None else seeds, f"{name}: seeds")
    _check_keys(tree, name)
    for section in FANNED[1:]:
        tree[section] = _of_each_target(tree, section, name)
    _complete(tree, name)
    for section in FANNED:
        _check_references(tree, section, name)
    for section in FANNED:
        tree[section] = _fan_out(tree, section, fanned, name)
    tree["seeds"] = CommentedSeq(fanned)
    tree.pop("profile", None)
    tree.insert(0, "profile", name)
    _make_block_style(tree)
    header = f"Profile `{name}`: written by `trapmid profile {name}` from profiles/{name}.yaml."
    if seeds is not None:
        header = header.replace(f"profile {name}`", f"profile {name} --seeds {_words(fanned)}`")
    tree.ca.comment = None
    mark = f"As written: {_digest(_text(tree))}"
    tree.yaml_set_start_comment(f"{header}\nEvery number that can change a result is here. {mark}")
    return _text(tree)


def check_replaceable(path: Path) -> None:
    """Refuses a params.yaml that somebody edited since `compose` made its text.

    Its own head tells: the profile may have changed, and so may the layout (`dvc exp run -S` writes
    the file anew, keeps comments, and changes values).

    Raises:
        ProfileError: the values at `path` are not those whose digest stands in its comments.
    """
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    try:
        digest = _digest(text)
    except YAMLError:
        digest = "no YAML"
    if f"As written: {digest}" not in text:
        raise ProfileError(
            f"{path}: edited since `trapmid profile` wrote it; --force replaces it all the same"
        )


def _digest(text: str) -> str:
    """Of the values, in their order, whatever the layout."""
    values = json.dumps(YAML(typ="safe").load(text))
    return hashlib.sha256(values.encode()).hexdigest()[:16]


def _tree(name: str, folder: Path) -> CommentedMap:
    """The profile over its bases, before rows are repeated."""
    tree = _layered(name, folder, ())
    sections = [tree, *(block for block in tree.values() if isinstance(block, CommentedMap))]
    for section in sections:
        for key in list(section):
            _resolve(section, key, name)
    return tree


def _layered(name: str, folder: Path, above: tuple[str, ...]) -> CommentedMap:
    """The profile over its base, and that over its own; `above`: who asked."""
    if name in above:
        raise ProfileError(f"{folder / name}.yaml: its bases lead back to it")
    overlay = _load(name, folder)
    base_name = overlay.pop("base", None)
    if base_name is None:
        return overlay
    base = _layered(str(base_name), folder, (*above, name))
    known = set(base) | set(_OWN_KEYS)
    for key, value in overlay.items():
        if key in ROWS or not isinstance(base.get(key), Mapping) or not isinstance(value, Mapping):
            base[key] = value
        else:
            _merge(base[key], value)
    rows = [row for section in CLASSIFIERS for row in (base.get(section) or {}).values()]
    if unknown := sorted(set(overlay) - known - {row.get("block") for row in rows}):
        raise ProfileError(
            f"{folder / name}.yaml: unknown {unknown}; neither in {base_name}.yaml nor the `block` "
            "of a target"
        )
    return base


def _resolve(section: CommentedMap, key: str, name: str) -> None:
    """A block `{like: other, ...}` becomes a copy of its sibling with what it says changed."""
    block = section[key]
    if not isinstance(block, CommentedMap) or "like" not in block:
        return
    other = block.pop("like")
    if other == key or not isinstance(section.get(other), CommentedMap):
        raise ProfileError(f"{name}: {key}.like: no block {other!r} beside it")
    _resolve(section, other, name)
    copied = copy.deepcopy(section[other])
    copied.ca.items.clear()  # the comments belong to the original
    copied.ca.comment = None
    _merge(copied, block)
    section[key] = copied


def _load(name: str, folder: Path) -> CommentedMap:
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
        raise ProfileError(f"no profile {name!r} in {folder}/; there are {known}")
    try:
        content = _round_trip().load(path.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise ProfileError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(content, CommentedMap):
        raise ProfileError(f"{path}: must hold a mapping")
    return content


def _merge(base: CommentedMap, overlay: Mapping[str, Any]) -> None:
    for key, value in overlay.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping):
            _merge(base[key], value)
        else:
            base[key] = value


def _check_keys(tree: CommentedMap, name: str) -> None:
    if missing := [section for section in ROWS if section not in tree]:
        raise ProfileError(f"{name}: no {', '.join(missing)}; an empty section is written {{}}")
    for section in ROWS:
        if not isinstance(tree[section], Mapping):
            raise ProfileError(f"{name}: {section} must be a mapping, is {tree[section]!r}")


def _of_each_target(tree: CommentedMap, section: str, name: str) -> CommentedMap:
    """A row `x-*` becomes one per target, whose name replaces every star of the row's values.

    The row is attacked, or made, of the targets in its key `of`; without one, of all there are.
    A row that is written out, say for a target of another architecture, takes the place of its own.
    """
    rows = CommentedMap()
    for row, block in tree[section].items():
        where = f"{name}: {section}.{row}"
        if not isinstance(block, CommentedMap):
            raise ProfileError(f"{where}: must be a mapping, is {block!r}")
        if STAR not in row:
            if "of" in block:
                raise ProfileError(f"{where}.of: belongs to a row with a star in its name")
            rows[row] = block
            if row in tree[section].ca.items:
                rows.ca.items[row] = tree[section].ca.items[row]
            continue
        targets = block.pop("of", list(tree["targets"]))
        named = targets if isinstance(targets, list) else [targets]
        if unknown := [target for target in named if target not in tree["targets"]]:
            known = ", ".join(tree["targets"]) or "none"
            raise ProfileError(f"{where}.of: no {unknown}; there are {known}")
        if "target" not in block:
            block.insert(max(0, min(1, len(block) - 1)), "target", STAR)
        for target in named:
            if (own := row.replace(STAR, target)) in tree[section]:
                continue
            # A comment after a row hangs on the row's last key: only the last copy keeps it.
            copied = copy.deepcopy(block) if target == named[-1] else CommentedMap(block)
            for key, value in copied.items():
                if isinstance(value, str):
                    copied[key] = value.replace(STAR, target)
            rows[own] = copied
        if rows and row in tree[section].ca.items:
            rows.ca.items[next(reversed(rows))] = tree[section].ca.items[row]
    rows.ca.comment = tree[section].ca.comment
    return rows


def _complete(tree: CommentedMap, name: str) -> None:
    """Writes what the rows imply."""
    for section, implied in IMPLIED.items():
        for row, block in tree[section].items():
            for key, pattern in implied.items():
                if key in block:
                    continue
                try:
                    value = pattern.format_map(block)
                except KeyError as error:
                    raise ProfileError(f"{name}: {section}.{row}: no {error}") from None
                # Not at the end: a comment after the row hangs on its last key.
                block.insert(max(0, len(block) - 1), key, value)


def _check_references(tree: CommentedMap, section: str, name: str) -> None:
    for row, block in tree[section].items():
        if "seed" in block:
            raise ProfileError(f"{name}: {section}.{row}: `seed` comes from the profile's `seeds`")
        target = block.get("target")
        if target is not None and target not in tree["targets"]:
            known = ", ".join(tree["targets"])
            raise ProfileError(f"{name}: {section}.{row}.target: no {target!r}; there are {known}")
        for key, value in block.items():
            made = _PRODUCT.fullmatch(value) if isinstance(value, str) else None
            if made and made[2] not in (rows := tree[_FILES[made[1]]]):
                known = ", ".join(rows) or "none"
                raise ProfileError(
                    f"{name}: {section}.{row}.{key}: no {made[2]!r}; there are {known}"
                )


def _seeds(value: Any, where: str) -> list[int]:
    seeds = value if isinstance(value, list) else []
    whole = all(isinstance(s, int) and not isinstance(s, bool) and s >= 0 for s in seeds)
    if not seeds or not whole or len(set(seeds)) != len(seeds):
        raise ProfileError(f"{where}: must be distinct whole numbers from 0 up, is {value!r}")
    return [int(seed) for seed in seeds]


def _fan_out(tree: CommentedMap, section: str, seeds: list[int], name: str) -> CommentedMap:
    fanned = CommentedMap()
    for row, block in tree[section].items():
        for seed in seeds:
            # A comment after a row hangs on the row's last key: only the last copy keeps it.
            copied = copy.deepcopy(block) if seed == seeds[-1] else CommentedMap(block)
            for key, value in copied.items():
                copied[key] = _with_seed(key, value, seed)
            copied.insert(0, "seed", seed)
            fanned[f"{row}-{seed}"] = copied
        if row in tree[section].ca.items:
            fanned.ca.items[f"{row}-{seeds[0]}"] = tree[section].ca.items[row]
    fanned.ca.comment = tree[section].ca.comment
    return fanned


def _with_seed(key: str, value: Any, seed: int) -> Any:
    """A reference to a repeated row, made to name the copy of the same seed."""
    if key == "target":
        return f"{value}-{seed}"
    product = _PRODUCT.fullmatch(value) if isinstance(value, str) else None
    if product:
        return f"models/{product[1]}/{product[2]}-{seed}{product[3]}"
    return value


def _make_block_style(node: Any) -> None:
    """As `dvc exp run -S` would write it, so that its first edit changes one line."""
    if isinstance(node, CommentedMap | CommentedSeq) and len(node):
        node.fa.set_block_style()
        for child in node.values() if isinstance(node, CommentedMap) else node:
            _make_block_style(child)


def _round_trip() -> YAML:
    yaml = YAML()  # DVC's own settings
    yaml.default_flow_style = False
    return yaml


def _text(tree: CommentedMap) -> str:
    stream = io.StringIO()
    _round_trip().dump(tree, stream)
    return stream.getvalue()


def _words(seeds: list[int]) -> str:
    return " ".join(map(str, seeds))
