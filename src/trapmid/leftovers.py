"""What no row of params.yaml makes any more, and what runs that were killed left behind.

DVC (3.67.1) forgets a row that is gone from params.yaml, not its files: they stay in reports/, in
`dvc plots show`, and in Git. The places are those of dvc.yaml: a stage that repeats over a section
says where its rows write.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from trapmid.artifacts import locks

ROOMS = ("data", "models", "reports")
"""The folders in which stages write."""

_KEY = "${key}"
_OF_USERS = "external"  # data/external, models/external: no stage writes there
_SHARED = Path("data/raw")  # stages and people put folders here
_CUT_OFF = re.compile(r"\..+\.\d+\.tmp|\.DS_Store")  # `checkpoints.write_atomically`; macOS
_RAW_CUT_OFF = re.compile(r"\.[A-Za-z0-9_-]+\.(partial|[a-z0-9_]{8})")  # of the makers in `data`


def find(root: Path, params: Mapping[str, Any]) -> list[Path]:
    """Files and folders to remove, relative to `root`, sorted.

    Args:
        root: the folder of dvc.yaml.
        params: params.yaml.

    Raises:
        FileNotFoundError: there is no dvc.yaml.
    """
    found = {path.relative_to(root) for path in (*_of_no_row(root, params), *_cut_off(root))}
    return sorted(path for path in found if found.isdisjoint(path.parents))


def remove(root: Path, leftovers: list[Path]) -> None:
    """Removes them, and the folders of theirs that are empty then; never what a link leads to.

    Raises:
        BlockingIOError: DVC or a stage is at work in `root`.
    """
    with locks.only_one(root / ".dvc" / "tmp" / "lock", "DVC"):  # its own lock
        if busy := locks.held(root / locks.ROWS):
            raise BlockingIOError(f"{', '.join(busy)}: a stage is at work")
        for path in leftovers:
            _remove(root / path)
            for folder in (root / path).parents:
                if folder.parent.parent == root or any(folder.iterdir()):
                    break
                folder.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _of_no_row(root: Path, params: Mapping[str, Any]) -> Iterator[Path]:
    """Outputs of rows that params.yaml does not have."""
    made = _recorded(root)
    for stage, section, place in _places(root):
        for path in root.glob(place.replace(_KEY, "*")):
            row = _row(place, path.relative_to(root).as_posix())
            if row.startswith(".") or row in params[section] or _is_behind_a_link(root, path):
                continue
            if path.parent != root / _SHARED or f"{stage}@{row}" in made:
                yield path


def _is_behind_a_link(root: Path, path: Path) -> bool:
    """Whether a folder above it leads elsewhere: what is there is not ours."""
    return any((root / part).is_symlink() for part in list(path.relative_to(root).parents)[:-1])


def _places(root: Path) -> Iterator[tuple[str, str, str]]:
    """(stage, section of its rows, path with `${key}` for the row) of all that rows write."""
    for stage, body in _yaml(root / "dvc.yaml")["stages"].items():
        if "foreach" in body:
            section = body["foreach"].removeprefix("${").removesuffix("}")
            for entry in (*body["do"].get("outs", ()), *body["do"].get("metrics", ())):
                yield stage, section, entry if isinstance(entry, str) else next(iter(entry))


def _row(place: str, path: str) -> str:
    """The name that stands for `${key}`."""
    before, _, after = place.partition(_KEY)
    return path.removeprefix(before).removesuffix(after)


def _recorded(root: Path) -> set[str]:
    """The stages whose results dvc.lock names; those of rows that are gone stay in it."""
    lock = root / "dvc.lock"
    return set(_yaml(lock).get("stages", {})) if lock.exists() else set()


def _yaml(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    return content


def _cut_off(root: Path) -> Iterator[Path]:
    """Temporary files and folders, and macOS's notes of how a folder was looked at."""
    for room in ROOMS:
        for at, folders, files in os.walk(root / room):
            here = Path(at)
            if here == root / room:
                folders[:] = [name for name in folders if name != _OF_USERS]
            yield from (here / name for name in files if _CUT_OFF.fullmatch(name))
            if here == root / _SHARED:
                cut_off = [name for name in folders if _RAW_CUT_OFF.fullmatch(name)]
                yield from (here / name for name in cut_off)
                folders.clear()  # sets of pictures: nothing of ours is left in them
