"""What runs a stage: its command, without DVC."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

DEVICES = (
    "CUDA_VISIBLE_DEVICES",
    "GPU_DEVICE_ORDINAL",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
)
"""Variables that say which of a machine's GPUs a process may use: every worker has its own."""


class Running(Protocol):
    """A process."""

    def wait(self) -> int:
        """Its exit code; negative: the signal that ended it."""
        ...

    def terminate(self) -> None: ...


@dataclass(frozen=True)
class Command:
    """The command of one stage, as DVC would start it: what a worker gets, and all that it gets."""

    stage: str
    lines: tuple[tuple[str, ...], ...]  # run one after the other, until one fails
    folder: str
    environment: Mapping[str, str]  # a worker's own would decide threads, and so digits
    log: str  # file for stdout and stderr; it is replaced


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int  # exit code; negative: the signal that ended it
    seconds: float


Begin = Callable[[Command, tuple[str, ...], BinaryIO], Running]
"""Starts one line of a command; what it prints goes into the file."""


def begin(command: Command, line: tuple[str, ...], log: BinaryIO) -> Running:
    """Starts one line of a command as a process of its own."""
    return subprocess.Popen(
        line,
        cwd=command.folder,
        env=environment(command),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
    )


class Crew:
    """The processes of this machine that are to be stopped together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[Running] = set()
        self._stopped = False

    @contextmanager
    def has(self, process: Running) -> Iterator[None]:
        """It belongs to them inside the block; it is ended if all of them were meanwhile."""
        with self._lock:
            self._running.add(process)
            stopped = self._stopped
        try:
            if stopped:  # while it was begun, which may take seconds
                process.terminate()
            yield
        finally:
            with self._lock:
                self._running.discard(process)

    def stop(self) -> None:
        """Ends all that run, and whatever is begun from now on."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            process.terminate()


def execute(command: Command, begin: Begin = begin, crew: Crew | None = None) -> Ended:
    """Runs a command here, with its environment and this process's `DEVICES`; waits for it.

    Args:
        command: what runs.
        begin: starts each of its lines.
        crew: to which its processes belong.
    """
    crew = Crew() if crew is None else crew
    log = Path(command.log)
    log.parent.mkdir(parents=True, exist_ok=True)
    begun, code = time.monotonic(), 0
    with log.open("wb") as stream:
        for line in command.lines:
            process = begin(command, line, stream)
            with crew.has(process):
                code = process.wait()
            if code:
                break
    return Ended(code, time.monotonic() - begun)


def environment(command: Command) -> dict[str, str]:
    """That of a command, on this worker."""
    given = {name: value for name, value in command.environment.items() if name not in DEVICES}
    return given | {name: os.environ[name] for name in DEVICES if name in os.environ}


def last_lines(log: str, count: int = 5) -> list[str]:
    """The last lines of a log that are not blank."""
    try:
        text = Path(log).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]
