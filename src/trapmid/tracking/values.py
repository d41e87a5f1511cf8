"""Trees of parameters and numbers, flattened as MLflow takes them; digests of content."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

PARAM_LENGTH = 6000
"""Characters that MLflow keeps of a parameter."""


def flat(tree: Mapping[str, Any], where: str = "") -> dict[str, str]:
    """Leaves by dotted path, as text."""
    found: dict[str, str] = {}
    for key, value in tree.items():
        path = f"{where}.{key}" if where else str(key)
        if isinstance(value, Mapping):
            found |= flat(value, path)
        else:
            found[allowed(path)] = str(value)[:PARAM_LENGTH]
    return found


def numbers(tree: Mapping[str, Any], where: str = "") -> dict[str, float]:
    """Numeric leaves by dotted path; a check is 1 or 0, a null is left out.

    Of a list, the parts that have a norm and a radius are called by them:
    `adversarial.linf_0.0314.every.recall`. Any other list is left out: a number for every class, or
    for every pair of defences, would be a chart each.
    """
    found: dict[str, float] = {}
    for key, value in tree.items():
        path = f"{where}.{key}" if where else str(key)
        if isinstance(value, Mapping):
            found |= numbers(value, path)
        elif isinstance(value, list | tuple):
            for part in value:
                if isinstance(part, Mapping) and {"norm", "radius"} <= part.keys():
                    found |= numbers(part, f"{path}.{part['norm']}_{part['radius']:g}")
        elif isinstance(value, bool | int | float):
            found[allowed(path)] = float(value)
    return found


def allowed(name: str) -> str:
    """The name with every character that MLflow refuses replaced by `_`."""
    return re.sub(r"[^\w\-. /]", "_", name)


def tensor_spec(dtype: str, *shape: int) -> str:
    """MLflow's schema of one array, as JSON; a size of -1 may be any."""
    return json.dumps([{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}])


def digest(values: Iterable[Any], files: Iterable[Path]) -> str:
    """SHA-256 of values, as JSON, and of the bytes of files."""
    found = hashlib.sha256(json.dumps(list(values), sort_keys=True, default=str).encode())
    for path in files:
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()
