"""From `profiles/<name>.yaml` to params.yaml.

params.yaml is the truth that every stage reads and that `dvc exp run -S` edits; a profile is only a
way to write it. One profile is complete; another names it as its `base` and says what differs. A
row of a profile says what cannot be derived; params.yaml has all of it, one row a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from trapmid.profiles.implied import complete
from trapmid.profiles.layers import layered
from trapmid.profiles.part import Part, keep, seeds_left
from trapmid.profiles.sections import FANNED, NO_DEFENSES, ROWS, ProfileError
from trapmid.profiles.seeds import check_references, check_seeds, fan_out
from trapmid.profiles.stars import of_each_target
from trapmid.profiles.text import laid_out, written
from trapmid.profiles.used import drop_unused

FOLDER = Path("profiles")


def compose(
    name: str, seeds: list[int] | None = None, folder: Path = FOLDER, part: Part | None = None
) -> str:
    """The text of params.yaml for a profile.

    Args:
        name: of `profiles/<name>.yaml`.
        seeds: instead of the profile's own.
        folder: where the profiles are.
        part: the attacks that are kept, with what they are made of; None: all. `profile` in
            params.yaml then has its words, too: it is another study than the whole.

    Raises:
        ProfileError: no such profile, an unknown key, a wrong seed or a reference to no row.
    """
    remarks: dict[str, str] = {}
    tree = layered(name, folder, (), remarks)
    fanned = check_seeds(tree.get("seeds") if seeds is None else seeds, f"{name}: seeds")
    _check_keys(tree, name)
    _write_rows(tree, fanned, name)
    command, study = name if seeds is None else f"{name} --seeds {_words(fanned)}", name
    if part is not None:
        keep(tree, part.chosen(tree))
        fanned = seeds_left(tree, fanned)
        command, study = f"{command} {part.words}", f"{name} {part.words}"
    drop_unused(tree)
    # Seeds first: `-S` writes lists anew, and loses the comment that follows one.
    tree.pop("seeds", None)
    tree.insert(0, "profile", study)
    tree.insert(0, "seeds", CommentedSeq(fanned))
    header = f"Profile `{name}`: written by `trapmid profile {command}` from profiles/{name}.yaml."
    return written(laid_out(tree, remarks, header))


def every_block(name: str, folder: Path = FOLDER) -> str:
    """The text of a profile over its bases, with the blocks that none of its rows uses.

    Raises:
        ProfileError: as `compose`, of the files alone.
    """
    return written(layered(name, folder, (), {}))


def _check_keys(tree: CommentedMap, name: str) -> None:
    if missing := [section for section in ROWS if section not in tree]:
        raise ProfileError(f"{name}: no {', '.join(missing)}; an empty section is written {{}}")
    for section in NO_DEFENSES:
        if section in tree and not isinstance(tree[section], Mapping):
            raise ProfileError(f"{name}: {section}: must be a mapping, is {tree[section]!r}")
    defaults = tree.get("defaults", {})
    rows = defaults if isinstance(defaults, Mapping) else {}
    for section, row in {"defaults": defaults, **rows}.items():
        if not isinstance(row, Mapping):
            raise ProfileError(f"{name}: defaults: must be mappings, {section} is {row!r}")
    if unknown := sorted(set(defaults) - set(ROWS)):
        raise ProfileError(f"{name}: defaults: no section of rows {unknown}")


def _write_rows(tree: CommentedMap, seeds: list[int], name: str) -> None:
    """Turns the rows of a profile into those of params.yaml, in place."""
    defaults = tree.pop("defaults", {})
    for section in ROWS:
        if section in FANNED[1:]:
            tree[section] = of_each_target(tree, section, name)
        for row in () if section in ("raw", "data") else tree[section]:
            complete(tree, section, row, defaults.get(section, {}), name)
    for section in FANNED:
        check_references(tree, section, name)
    for section in FANNED:
        tree[section] = fan_out(tree, section, seeds)


def _words(seeds: list[int]) -> str:
    return " ".join(map(str, seeds))
