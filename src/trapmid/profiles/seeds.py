"""Rows repeated for every seed, and the names by which one of them refers to another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ruamel.yaml.comments import CommentedMap

from trapmid.profiles.sections import FANNED, ProfileError

_FILES = {
    "targets": "targets",
    "surrogates": "surrogates",
    "leaks": "leaks",
    "signatures": "signatures",
    "priors/guided": "guided_priors",
}
"""Folder under models -> the section whose rows make it."""
_PRODUCT = re.compile(rf"models/({'|'.join(_FILES)})/([^/.]+)(.*)")


def check_seeds(value: Any, where: str) -> list[int]:
    """The seeds of a study.

    Raises:
        ProfileError: they are not distinct whole numbers from 0 up.
    """
    seeds = value if isinstance(value, list) else []
    whole = all(isinstance(s, int) and not isinstance(s, bool) and s >= 0 for s in seeds)
    if not seeds or not whole or len(set(seeds)) != len(seeds):
        raise ProfileError(f"{where}: must be distinct whole numbers from 0 up, is {value!r}")
    return [int(seed) for seed in seeds]


def check_rows(params: Mapping[str, Any]) -> None:
    """Refuses seeds of a params.yaml that are not those of its rows: rows are what runs.

    Raises:
        ProfileError: it says which command writes rows of these seeds.
    """
    seeds = check_seeds(params["seeds"], "seeds")
    rows = [row for section in FANNED for row in params[section].values()]
    named = [row.get("seed") for row in rows if isinstance(row, Mapping)]
    found = {seed for seed in named if isinstance(seed, int)}  # others are refused with their row
    if found and found != set(seeds):
        words = " ".join(map(str, seeds))
        raise ProfileError(
            f"seeds: {seeds}, but the rows are of {sorted(found)}; "
            f"`trapmid profile {params['profile']} --seeds {words}` writes rows of these seeds"
        )


def check_references(tree: CommentedMap, section: str, name: str) -> None:
    """Refuses a row that names a target or a product of which there is no row.

    Raises:
        ProfileError: with the names that there are; or a row has a `seed` of its own.
    """
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


def fan_out(tree: CommentedMap, section: str, seeds: list[int]) -> CommentedMap:
    """Every row of a section, once for each seed."""
    fanned = CommentedMap()
    for row, block in tree[section].items():
        for seed in seeds:
            copied = CommentedMap((k, _with_seed(k, v, seed)) for k, v in block.items())
            changes = copied.pop("set", None)
            copied["seed"] = seed
            if changes:
                copied["set"] = changes
            fanned[f"{row}-{seed}"] = copied
    return fanned


def _with_seed(key: str, value: Any, seed: int) -> Any:
    """A reference to a repeated row, made to name the copy of the same seed."""
    if key == "target":
        return f"{value}-{seed}"
    product = _PRODUCT.fullmatch(value) if isinstance(value, str) else None
    if product:
        return f"models/{product[1]}/{product[2]}-{seed}{product[3]}"
    return value
