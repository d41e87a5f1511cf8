"""Files of tensors: whole or refused, and weights with the digest of the code that means them.

A file ends with the digest of all its other bytes. It is the comment of the zip archive that
`torch.save` writes, so anybody's `torch.load` reads the file; but `torch.load` itself takes a
tensor with a flipped bit for a tensor.

A stage that loads a network need not depend on the network's source file: the checkpoint carries a
digest of it, so an edit changes the checkpoint, and a checkpoint of other code is refused.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy._core.multiarray import scalar
from torch import nn

from trapmid.artifacts import dense, portable, sources

# What torch.load raises on files that are not its own, or not whole: its unpickler reads any bytes.
_UNREADABLE = (
    pickle.UnpicklingError,
    struct.error,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)

_NO_COMMENT = struct.pack("<H", 0)  # how an archive without a comment ends
_MARK = b"trapmid sha256 "
_SEAL_SIZE = len(_NO_COMMENT) + len(_MARK) + 2 * hashlib.sha256().digest_size
_CHUNK = 2**20  # bytes that are hashed at once: images of a study need not fit into memory twice

_REFUSED = re.compile(r"GLOBAL ([\w.]+)")  # how torch names a type that it does not unpickle
_NUMBERS: list[Any] = [  # a scalar of NumPy is made of its type and its bytes, and runs nothing
    np.dtype,
    *((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *(type(np.dtype(kind)) for kind in ("f8", "f4", "f2", "i8", "i4", "u8", "u1", "?")),
]
_QUOTED = re.compile(r'"([^"]+)"')

_REMEDY = "delete it, then `dvc repro`; if it comes back damaged, see docs/sharing.md"


class CheckpointError(RuntimeError):
    """A checkpoint cannot be used; the message is one line that names the file."""


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file under a temporary name, then renames it: no half-written file is ever seen.

    Raises:
        OSError: it cannot be written; the message names the file.
    """
    with _new_file(path) as stream:
        stream.write(content)


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Saves tensors and plain values, as `write_atomically`; equal content gives equal bytes.

    Raises:
        OSError: it cannot be written; the message names the file.
    """
    with _new_file(path) as stream:  # a stream: the archive must not hold the file's name
        try:
            torch.save(portable.of(content), stream)
        except RuntimeError as error:  # torch hides what its stream raised
            raise error.__context__ if isinstance(error.__context__, OSError) else error from None
        size = stream.seek(-len(_NO_COMMENT), os.SEEK_END)
        assert stream.read() == _NO_COMMENT
        seal = _seal(stream, size)
        stream.seek(size)
        stream.write(seal)


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote, on the CPU.

    Raises:
        CheckpointError: the file is missing or damaged, or `save` did not write it.
    """
    with _open(path) as stream:
        if not _is_sealed(stream):
            raise CheckpointError(f"{path}: damaged, or not written by this version; {_REMEDY}")
        return _dictionary(path, _content(path, stream))


def load_foreign(path: Path) -> dict[str, Any]:
    """What anybody's `torch.save` wrote, on the CPU; a file of `save` is held to its digest.

    Numbers of NumPy are read: many trainers keep an accuracy beside the weights.

    Raises:
        CheckpointError: the file is missing, damaged or no checkpoint, or holds another type than
            tensors and plain values; it is named, and nothing of it was run.
    """
    return _dictionary(path, load_anything(path))


def load_anything(path: Path) -> Any:
    """As `load_foreign`, whatever the file holds at its top: a tensor, a list.

    Raises:
        CheckpointError: as `load_foreign`.
    """
    with _open(path) as stream, torch.serialization.safe_globals(_NUMBERS):
        if _is_marked(stream) and not _is_sealed(stream):
            raise CheckpointError(f"{path}: damaged; {_REMEDY}")
        return _content(path, stream)


def check_finite(path: Path, tensors: Mapping[str, Any]) -> None:
    """Refuses tensors with NaN or infinity, which no training is to leave and nobody to load.

    Raises:
        CheckpointError: it names the first of them, or one that is no dense tensor of numbers.
    """
    for name, value in tensors.items():
        if not isinstance(value, torch.Tensor):
            continue
        if (what := dense.otherwise(value)) is not None:
            raise CheckpointError(f"{path}: {name} is {what}; allowed are {dense.ALLOWED}")
        if not _is_finite(value):
            raise CheckpointError(f"{path}: {name} is not finite: the training diverged")


def code_digest(module: nn.Module, *makers: object) -> str:
    """A digest of all the code of this project that a part of `module` can reach.

    `makers`: what else decides what the module computes, e.g. the defence that altered a network in
    place.
    """
    return sources.digest_of_classes({type(part) for part in (*module.modules(), *makers)})


def check_code(path: Path, content: Mapping[str, Any], module: nn.Module, *makers: object) -> None:
    """Refuses a checkpoint whose network was defined by other source code.

    Raises:
        CheckpointError: the digests differ.
    """
    if content.get("code") != code_digest(module, *makers):
        raise CheckpointError(
            f"{path}: made by another version of {type(module).__module__}; `dvc repro` renews it"
        )


def load_strictly(path: Path, module: nn.Module, state: Mapping[str, Any]) -> None:
    """`module.load_state_dict(state, strict=True)` with a one-line message on failure.

    Raises:
        CheckpointError: a weight is missing, unknown, of another shape or not finite.
    """
    check_finite(path, state)
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        details = misfit(error)
        raise CheckpointError(f"{path}: does not fit {type(module).__name__}: {details}") from None


def misfit(error: RuntimeError) -> str:
    """What `load_state_dict` says, in one line: of every kind of misfit how many, and the first."""
    lines = [line.strip().rstrip(".") for line in str(error).splitlines()]
    shapes = [line for line in lines if line.startswith("size mismatch")]
    parts = []
    for sign, kind in (("Missing", "missing"), ("Unexpected", "unknown")):
        names = [n for line in lines if line.startswith(sign) for n in _QUOTED.findall(line)]
        parts += [f"{len(names)} weights {kind}, first {names[0]}"] if names else []
    parts += [f"{len(shapes)} of another shape, first {shapes[0]}"] if shapes else []
    return "; ".join(parts) or " ".join(lines)


def _is_finite(value: torch.Tensor) -> bool:
    """By the extremes, which are NaN where there is one: faster than a look at every element."""
    return not value.numel() or all(bool(end.isfinite()) for end in value.aminmax())


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when the block ends well, and goes when it does not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())  # or the name may reach the disk before the bytes do
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OSError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Waits until a new name in `folder` is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network mounts sync no folder; the file itself is synced
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _seal(stream: BinaryIO, size: int) -> bytes:
    """What follows the first `size` bytes of a file: a zip comment's length, and the comment."""
    digest = hashlib.sha256()
    stream.seek(0)
    while size > 0 and (part := stream.read(min(size, _CHUNK))):
        digest.update(part)
        size -= len(part)
    comment = _MARK + digest.hexdigest().encode()
    return struct.pack("<H", len(comment)) + comment


def _ending(stream: BinaryIO) -> bytes:
    stream.seek(-min(_SEAL_SIZE, stream.seek(0, os.SEEK_END)), os.SEEK_END)
    return stream.read()


def _is_marked(stream: BinaryIO) -> bool:
    return _ending(stream)[len(_NO_COMMENT) :].startswith(_MARK)


def _is_sealed(stream: BinaryIO) -> bool:
    size = stream.seek(0, os.SEEK_END) - _SEAL_SIZE
    return _ending(stream) == _seal(stream, size)


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; `dvc repro` makes it") from None
    except IsADirectoryError:
        raise CheckpointError(f"{path}: is a folder, must be a file") from None


def _content(path: Path, stream: BinaryIO) -> Any:
    stream.seek(0)
    try:
        return torch.load(stream, map_location="cpu", weights_only=True)
    except (*_UNREADABLE, OSError) as error:  # OSError 22: torch seeks before a cut file's start
        if (refused := _REFUSED.search(str(error))) is not None:
            raise CheckpointError(
                f"{path}: holds a {refused[1]}; only tensors, plain values and NumPy's numbers are "
                "read, and nothing was run; save its state_dict() instead"
            ) from None
        first_line = "".join(str(error).splitlines()[:1])
        reason = f"{type(error).__name__}: {first_line}"
        raise CheckpointError(f"{path}: not a checkpoint ({reason})") from None


def _dictionary(path: Path, content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: must hold a dictionary, holds {type(content).__name__}")
    return content
