"""The blocks that rows of a study use: params.yaml holds these, a profile all that it could use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ruamel.yaml.comments import CommentedMap

from trapmid.config import params
from trapmid.profiles.sections import AUDIT, BLOCKS, CLASSIFIERS, NO_DEFENSES, defenses

_SETTINGS = ("profile", "seeds", AUDIT, *NO_DEFENSES)


def drop_unused(tree: CommentedMap) -> None:
    """Takes the blocks away that no row is built on, and their names as controls, in place.

    `dvc exp run -S` then refuses a key that would change nothing, and a reader sees what runs.
    What is no name at all stays, for `preflight` to refuse.

    Args:
        tree: of params.yaml, its rows complete.
    """
    used = _used(tree)
    for section in BLOCKS:
        for name in [name for name in tree.get(section, ()) if f"{section}.{name}" not in used]:
            del tree[section][name]
    idle = [name for name in tree if name not in _SETTINGS and name not in used]
    for name in idle:
        del tree[name]
    gone = set(idle) - defenses(tree)
    controls = tree.get("gate", {}).get("controls")
    for name in [name for name in gone if isinstance(controls, list) and name in controls]:
        controls.remove(name)


def _used(tree: Mapping[str, Any]) -> set[str]:
    """Dotted names of the blocks of all rows."""
    of_methods = {
        f"{blocks}.{row['method']}"
        for section, blocks in params.BLOCKS.items()
        for row in tree[section].values()
    }
    named = {
        row.get("block")
        for section in (*CLASSIFIERS, "trained_judges")
        for row in tree[section].values()
    }
    trainings = {
        f"classifier_training.{row.get('training')}"
        for section in CLASSIFIERS
        for row in tree[section].values()
    }
    return of_methods | named | trainings
