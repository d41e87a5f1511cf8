"""What is no computing: the start of a stage, the books of a study, the preparation of images."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path as File

import bookkeeping
from gpu.results import ROOT
from gpu.study import World

from bench.timing import Clocked, Path

STAGES = ("train_target", "invert", "evaluate")


def paths(worlds: Mapping[str, World]) -> Iterator[Path]:
    """Starts on the wall's clock, since a stage waits for its files; books in processor seconds."""
    quick = next(iter(worlds.values())).book.toy
    for stage in STAGES[: 1 if quick else None]:
        file = ROOT / f"stages/{stage}.py"
        yield Path(
            name=f"start of a stage, {stage}",
            ours=lambda now, file=file: Clocked(_start(file), None),  # type: ignore[misc]
            reference=None,
            unit="start",
            note="until --help is printed, all imports done; on the wall's clock",
        )
    count = 4 if quick else 45
    for what in bookkeeping.TIMES:
        yield Path(
            name=f"book-keeping, {what}",
            ours=lambda now, what=what: _books("ours", what, count),  # type: ignore[misc]
            reference=lambda now, what=what: _books("dvc", what, count),  # type: ignore[misc]
            units=count,
            unit="stage",
            once=True,
            note=f"`trapmid run` against `dvc repro`, {count} stages, seconds of the processor",
        )


def _start(file: File) -> float:
    begun = time.perf_counter()
    command = [sys.executable, str(file), "--help"]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ})
    return time.perf_counter() - begun


def _books(way: str, what: str, stages: int) -> Clocked:
    """Seconds of a study of about so many stages, from nothing or when all is done."""
    return Clocked(_study(way, stages)[what], None)


@functools.cache
def _study(way: str, stages: int) -> dict[str, float]:
    """Both of one way: a study is made once."""
    rows = bookkeeping.of(way, stages)
    return {what: row["value"] for what, row in zip(bookkeeping.TIMES, rows, strict=True)}
