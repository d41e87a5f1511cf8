"""Weights with the digest of the code that gives them meaning.

A stage that loads a network need not depend on the network's source file: the checkpoint carries a
digest of it, so an edit changes the checkpoint, and a checkpoint of other code is refused.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trapmid.artifacts import sources

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


class CheckpointError(RuntimeError):
    """A checkpoint cannot be used; the message is one line that names the file."""


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file under a temporary name, then renames it: no half-written file is ever seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Saves tensors and plain values; equal content gives equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:  # a stream: the archive must not hold the file's name
            torch.save(_portable(content), stream)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote, on the CPU.

    Raises:
        CheckpointError: the file is missing or is no checkpoint.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; `dvc repro` makes it") from None
    except _UNREADABLE as error:
        first_line = "".join(str(error).splitlines()[:1])
        reason = f"{type(error).__name__}: {first_line}"
        raise CheckpointError(f"{path}: not a checkpoint ({reason})") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: must hold a dictionary, holds {type(content).__name__}")
    return content


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
    """`module.load_state_dict(state, strict=True)` with a one-line message on failure."""
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        details = " ".join(str(error).split())
        raise CheckpointError(f"{path}: does not fit {type(module).__name__}: {details}") from None


def _portable(value: Any) -> Any:
    """Tensors detached, contiguous, on the CPU and without shared storage; strings interned.

    A pickle writes a string once and then refers to it, if it is the same object: so equal content
    would give other bytes when one string was read from a file and another came from the code.
    """
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().contiguous().clone()
    if isinstance(value, Mapping):
        return {_portable(key): _portable(item) for key, item in value.items()}
    if type(value) is str:
        return sys.intern(value)
    if isinstance(value, list | tuple):
        return type(value)(_portable(item) for item in value)
    return value
