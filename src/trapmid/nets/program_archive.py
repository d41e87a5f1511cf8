"""What the archive of a .pt2 file may hold: a graph as text, tensors, and nothing that runs.

Each member is known and looked at, and torch gets an archive that is written anew of them, so that
what was looked at is what it reads.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator

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
_PICKLED = "holds pickled objects, which may run any code; export plain tensors"


def plain(content: bytes) -> bytes:
    """An archive of the same members as that in `content`, of which each is looked at.

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
    if any(entry.get("use_pickle") for entry in _payloads(inside)) or not _is_plain(
        inside.get(_EXAMPLE, b"")
    ):
        raise ValueError(_PICKLED)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, value in members.items():
            archive.writestr(zipfile.ZipInfo(name), value)
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
        try:
            config = json.loads(inside.get(name, b"{}"))
        except (ValueError, RecursionError):
            raise ValueError(f"{_NO_PROGRAM}, or damaged ({name} is no JSON)") from None
        entries = config.get("config", {}) if isinstance(config, dict) else {}
        if isinstance(entries, dict):
            yield from (entry for entry in entries.values() if isinstance(entry, dict))


def _is_plain(example: bytes) -> bool:
    """Whether the example inputs hold tensors and plain values alone."""
    if not example:
        return True
    try:
        torch.load(io.BytesIO(example), weights_only=True)
    except Exception:  # whatever bytes lead to
        return False
    return True
