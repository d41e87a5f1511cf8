"""What the archive of a .pt2 file may hold: a graph as text, tensors, and nothing that runs.

Each member is known and looked at, and torch gets an archive that is written anew of them, so that
what was looked at is what it reads. A program that was exported on another device is put on the
CPU there: torch would read it where it was, which another machine does not have.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import torch

_MODEL, _EXAMPLE = "models/model.json", "data/sample_inputs/model.pt"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_KNOWN = re.compile(
    r"data/weights/weight_[0-9]+|data/constants/tensor_[0-9]+|extra/[^/]+"
    r"|archive_(?:format|version)|byteorder|version|\.data/(?:version|serialization_id)"
)
_OBJECTS = re.compile(r"data/constants/(?:custom|opaque)_obj_")
_DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, OSError, RuntimeError, EOFError)
_NO_PROGRAM = "no program of torch.export.save"
_DEVICE = {"type", "index"}  # of a device in torch's JSON, and of nothing else there
_HERE = {"cpu", "meta"}  # what every machine has
_PICKLED = "holds pickled objects, which may run any code; export plain tensors"


def plain(content: bytes) -> bytes:
    """An archive of the same members as that in `content`, of which each is looked at.

    Where it names another device than the CPU, the CPU stands instead: its weights are bytes, which
    lie nowhere. On a device of no numbers (`meta`) stays what is there.

    Raises:
        ValueError: it is no archive of `torch.export.save`, it is damaged, or a member is unknown
            or a pickled object; one line.
    """
    members = _members(content)
    inside = {name.partition("/")[2]: value for name, value in members.items()}
    if _MODEL not in inside:
        raise ValueError(f"{_NO_PROGRAM}: or cut off: the archive has no models/")
    if len({name.partition("/")[0] for name in members}) > 1:
        raise ValueError(f"{_NO_PROGRAM}: its members lie in several folders")
    for name in inside:
        if _OBJECTS.match(name):
            raise ValueError(_PICKLED)
        if name not in (_MODEL, _EXAMPLE, *_CONFIGS) and not _KNOWN.fullmatch(name):
            raise ValueError(f"holds {name[:80]!r}, which a program of plain tensors does not need")
    if any(entry.get("use_pickle") for entry in _payloads(inside)):
        raise ValueError(_PICKLED)
    placed = {
        name: _named_cpu(name, inside[name]) for name in (_MODEL, *_CONFIGS) if name in inside
    }
    if example := inside.get(_EXAMPLE, b""):
        placed[_EXAMPLE] = _loaded_on_cpu(example)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, value in members.items():
            kept = placed.get(name.partition("/")[2], value)
            archive.writestr(zipfile.ZipInfo(name), kept)
    return stream.getvalue()


def _members(content: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    except _DAMAGED as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
        raise ValueError(f"{_NO_PROGRAM}, or damaged ({reason})") from None


def _payloads(inside: dict[str, bytes]) -> Iterator[dict[str, object]]:
    """What the archive says of each of its weights and constants."""
    for name in _CONFIGS:
        config = _json(name, inside.get(name, b"{}"))
        entries = config.get("config", {}) if isinstance(config, dict) else {}
        if isinstance(entries, dict):
            yield from (entry for entry in entries.values() if isinstance(entry, dict))


def _json(name: str, text: bytes, hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    try:
        return json.loads(text, object_hook=hook)
    except (ValueError, RecursionError):
        raise ValueError(f"{_NO_PROGRAM}, or damaged ({name} is no JSON)") from None


def _named_cpu(name: str, text: bytes) -> bytes:
    """The graph or the list of weights, on the CPU; the same bytes where all of it is there."""
    moved: list[str] = []

    def on_cpu(part: dict[str, Any]) -> dict[str, Any]:
        kind = part.get("type")
        if set(part) != _DEVICE or not isinstance(kind, str) or kind in _HERE:
            return part
        moved.append(kind)
        return {"type": "cpu", "index": None}

    content = _json(name, text, on_cpu)
    return json.dumps(content).encode() if moved else text


def _loaded_on_cpu(example: bytes) -> bytes:
    """The example inputs, on the CPU; the same bytes where they were.

    Raises:
        ValueError: they are more than tensors and plain values.
    """
    places: set[str] = set()

    def on_cpu(storage: Any, place: str) -> Any:
        places.add(place)
        return storage  # which torch reads on the CPU first

    try:
        found = torch.load(io.BytesIO(example), weights_only=True, map_location=on_cpu)
    except Exception:  # whatever bytes lead to
        raise ValueError(_PICKLED) from None
    if places <= _HERE:
        return example
    stream = io.BytesIO()
    torch.save(found, stream)
    return stream.getvalue()
