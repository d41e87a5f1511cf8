"""What dvc.lock says: whether it is whole, and of what a stage was made.

After a crash it is not: DVC truncates it before it writes it, and then no dvc command works.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_REMEDY = (
    "`git checkout dvc.lock`, then `dvc repro` takes what was made since from its cache; "
    "if Git has no dvc.lock, delete it"
)


def problem(path: Path) -> str | None:
    """What is wrong with the dvc.lock at `path`, and the way on, in one line; None: nothing.

    A file that is missing is right: nothing has run.
    """
    if not path.exists():
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    if not text.strip("\0 \n"):
        return f"{path}: is empty, as after a crash of DVC; {_REMEDY}"
    try:
        content = YAML(typ="safe").load(text)
    except YAMLError:
        content = None
    return None if _is_whole(content) else f"{path}: is not whole, as after a crash; {_REMEDY}"


def changed_since(path: Path, stage: str, dependency: Path) -> bool:
    """Whether a file that `stage` read is no longer the one that it last read.

    False where the dvc.lock at `path` does not say: it is not there or not whole, or the stage
    never ran.
    """
    if not path.exists() or problem(path) is not None:
        return False
    content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    read = content.get("stages", {}).get(stage, {}).get("deps", [])
    recorded = {one["path"]: one.get("md5") for one in read}.get(dependency.as_posix())
    now = hashlib.md5(dependency.read_bytes(), usedforsecurity=False).hexdigest()
    return recorded is not None and recorded != now


def _is_whole(content: Any) -> bool:
    """Whether DVC takes `content` for a lock file: stages by name, with the command of each."""
    if not isinstance(content, Mapping) or "schema" not in content:
        return False
    stages = content.get("stages", {})
    return isinstance(stages, Mapping) and all(
        isinstance(stage, Mapping) and "cmd" in stage for stage in stages.values()
    )
