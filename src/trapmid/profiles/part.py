"""A part of a study: some of its attacks, and what these are made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from ruamel.yaml.comments import CommentedMap

from trapmid.profiles.references import Reference, of_row
from trapmid.profiles.sections import FANNED, ROWS


class Part(NamedTuple):
    """Which attacks of a profile are run."""

    words: str  # of the command that asks for it: --table 7
    chosen: Callable[[Mapping[str, Any]], Collection[str]]  # params.yaml -> rows of attack_runs


def keep(tree: CommentedMap, attack_runs: Collection[str]) -> None:
    """Takes away every row that none of the given attacks is made of, in place.

    Where one names what is not there, all rows stay: `preflight` then refuses the study, and says
    what there is, as it does of the whole profile.

    Args:
        tree: of params.yaml, its rows complete and repeated for every seed.
        attack_runs: rows of that section.
    """
    needed = {Reference("attack_runs", row) for row in attack_runs}
    new = set(needed)
    while new:
        named = {one for row in new for one in of_row(tree[row.section][row.row])}
        new = {one for one in named - needed if one.section in ROWS}
        if any(one.row not in tree[one.section] for one in new):
            return
        needed |= new
    for section in ROWS:
        for row in [row for row in tree[section] if Reference(section, row) not in needed]:
            del tree[section][row]


def seeds_left(tree: CommentedMap, all_seeds: list[int]) -> list[int]:
    """Those of `all_seeds` of which there is a row."""
    there = {row["seed"] for section in FANNED for row in tree[section].values() if "seed" in row}
    return [seed for seed in all_seeds if seed in there]
