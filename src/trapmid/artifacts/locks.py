"""Locks between processes: a file that goes unlocked when its process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROWS = Path(".scratch") / "locks"
"""Locks of the rows that are being worked on, in the folder whose outputs they write.

That is the folder of params.yaml, not DVC_ROOT: `dvc exp run --temp` has the same rows elsewhere.
"""


@contextmanager
def only_one(file: Path, what: str) -> Iterator[None]:
    """Holds the lock `file`; in it stands the process.

    Raises:
        BlockingIOError: another process holds it; the line begins with `what`.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o666), "r+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = stream.read().strip() or "unknown"
            message = f"{what}: another process is at work on it (pid {other})"
            raise BlockingIOError(message) from None
        stream.truncate()
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield


def held(folder: Path) -> list[str]:
    """The names of the locks in a folder that some process holds."""
    found = []
    for file in sorted(folder.glob("*.lock")):
        with file.open("r+", encoding="utf-8") as stream:  # NFS locks nothing that is only read
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(file.stem)
    return found
