"""What runs a stage: its command, without DVC."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_RUNNING: set[subprocess.Popen[bytes]] = set()  # of this process


@dataclass(frozen=True)
class Command:
    """The command of one stage, as DVC would start it: what a worker gets, and all that it gets."""

    stage: str
    lines: tuple[tuple[str, ...], ...]  # run one after the other, until one fails
    folder: str
    environment: Mapping[str, str]  # whole: a worker's own would decide threads, and so digits
    log: str  # file for stdout and stderr; it is replaced


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int  # exit code; negative: the signal that ended it
    seconds: float


def execute(command: Command) -> Ended:
    """Runs a command here and waits for it."""
    log = Path(command.log)
    log.parent.mkdir(parents=True, exist_ok=True)
    begun, code = time.monotonic(), 0
    with log.open("wb") as stream:
        for line in command.lines:
            process = subprocess.Popen(
                line,
                cwd=command.folder,
                env=dict(command.environment),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
            _RUNNING.add(process)
            try:
                code = process.wait()
            finally:
                _RUNNING.discard(process)
            if code:
                break
    return Ended(code, time.monotonic() - begun)


def stop_all() -> None:
    """Ends what `execute` runs in this process, in whatever thread."""
    for process in list(_RUNNING):
        process.terminate()


def last_lines(log: str, count: int = 5) -> list[str]:
    """The last lines of a log that are not blank."""
    try:
        text = Path(log).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]
