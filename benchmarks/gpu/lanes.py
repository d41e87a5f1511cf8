"""Phases of one study, made by several processes of one device, in the order of their value.

One process leaves a GPU idle for much of a small network's step. A phase is made once: what it
leaves is a file, and who reads that file waits for it. A phase that ended is not made again by a
second call on the same machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from gpu.results import Book, Row

_MARGIN = 4.0  # seconds before the end in which nothing begins
_LEAST = 0.4  # of its share; with less a phase is not begun
_PAUSE = 0.1


class Phase(NamedTuple):
    """One step of a study."""

    needs: tuple[str, ...]  # the phases whose files it reads
    seconds: float  # that it may take, if the study has as many as it was planned for
    make: Callable[[float], Iterable[Row]]  # from seconds to rows; it writes its file


class Room:
    """The folder of a study's files, and who is at work on which."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.pt"

    def has(self, name: str) -> bool:
        return self.file(name).exists()

    def save(self, name: str, content: Mapping[str, Any]) -> None:
        """Writes the file of a phase, whole or not at all."""
        beside = self.folder / f"{name}.{os.getpid()}"
        torch.save(dict(content), beside)
        beside.replace(self.file(name))

    def load(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = torch.load(self.file(name), weights_only=True, map_location="cpu")
        return content

    def open(self) -> None:
        """Frees what a call that was cut off had taken; before any lane begins."""
        for left in (*self.folder.glob("*.taken"), *self.folder.glob("*.failed")):
            left.unlink()

    def take(self, name: str) -> bool:
        """Whether the phase is ours now: it was nobody's."""
        try:
            (self.folder / f"{name}.taken").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def taken(self, name: str) -> bool:
        return (self.folder / f"{name}.taken").exists()

    def fail(self, name: str) -> None:
        (self.folder / f"{name}.failed").touch()

    def failed(self, name: str) -> bool:
        return (self.folder / f"{name}.failed").exists()


def work(book: Book, part: str, room: Room, phases: Mapping[str, Phase], share: float) -> None:
    """One lane: takes the most valuable phase that can be made, until none is left.

    Args:
        book: where rows go; `book.end` is when everything must be over.
        part: before the phase's name in that of a measurement.
        room: where the phases' files are.
        phases: the most valuable first.
        share: of the seconds for which the phases were planned.
    """
    while (name := _next(room, phases, book.end, share)) is not None:
        if name:
            phase, begun = phases[name], time.time()
            seconds = min(phase.seconds * share, book.end - begun - _MARGIN)
            book.forget(f"{part}/{name}")
            book.run(part, name, lambda phase=phase, s=seconds: phase.make(s))  # type: ignore[misc]
            if not room.has(name):
                room.fail(name)
            print(f"{part}/{name}: {time.time() - begun:.1f} s of {seconds:.1f}", flush=True)
        else:
            time.sleep(_PAUSE)


def _next(room: Room, phases: Mapping[str, Phase], end: float, share: float) -> str | None:
    """The phase to make now; "": wait; None: nothing is left that can be made in time."""
    left = end - time.time() - _MARGIN

    def may_come(name: str) -> bool:
        if room.has(name) or room.taken(name):
            return room.has(name) or not room.failed(name)
        enough = left >= _LEAST * phases[name].seconds * share
        return enough and all(map(may_come, phases[name].needs))

    waiting = [name for name in phases if not room.has(name) and not room.taken(name)]
    hopeful = [name for name in waiting if may_come(name)]
    for name in hopeful:
        if all(map(room.has, phases[name].needs)) and room.take(name):
            return name
    return "" if hopeful else None
