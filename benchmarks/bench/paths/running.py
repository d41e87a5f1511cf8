"""What is no computing: the start of a stage, the books of a study, the preparation of images."""

from __future__ import annotations

import atexit
import functools
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path as File

import bookkeeping
import preparation
import torch
from gpu.clock import Now
from gpu.results import ROOT
from gpu.study import World

from bench.plain import loading
from bench.timing import Clocked, Path
from trapmid.data import decoding
from trapmid.data.celeba import Reader
from trapmid.data.listing import Entry
from trapmid.engine import commands
from trapmid.engine.commands import Begin, Command
from trapmid.engine.warm import Server

STAGES = ("train_target", "invert", "evaluate")


def paths(worlds: Mapping[str, World]) -> Iterator[Path]:
    """Starts on the wall's clock, since a stage waits for its files; books in processor seconds."""
    quick = next(iter(worlds.values())).book.toy
    for stage in STAGES[: 1 if quick else None]:
        command = _without_words(stage, File(os.devnull))
        yield Path(
            name=f"start of a stage, {stage}",
            ours=lambda now, c=command: Clocked(_seconds(c, _server().begin), None),  # type: ignore[misc]
            reference=lambda now, c=command: Clocked(_seconds(c, commands.begin), None),  # type: ignore[misc]
            unit="start",
            note="until its usage is printed, all imports done; on the wall's clock; "
            "`trapmid run` against a new interpreter, as `dvc repro` has it",
        )
    count = 4 if quick else 46
    made = bookkeeping.made(count)
    for what in bookkeeping.TIMES:
        yield Path(
            name=f"book-keeping, {what}",
            ours=lambda now, what=what: _books("ours", what, count),  # type: ignore[misc]
            reference=lambda now, what=what: _books("dvc", what, count),  # type: ignore[misc]
            units=made,
            unit="stage",
            once=True,
            note=f"`trapmid run` against `dvc repro`, {made} stages, seconds of the processor",
        )

    yield from _many_stages(13 if quick else 400)
    yield _preparation(worlds["laptop"], 8 if quick else 256)


def _many_stages(count: int) -> Iterator[Path]:
    """From nothing `dvc repro` takes most of an hour at 400 stages, so it is left out there."""
    for what in bookkeeping.TIMES:
        compared = what == bookkeeping.TIMES[1]
        yield Path(
            name=f"book-keeping of {count} stages, {what}",
            ours=lambda now, what=what: Clocked(_long_study(count)[what], None),  # type: ignore[misc]
            reference=(lambda now: Clocked(_long_study(count)["dvc"], None)) if compared else None,
            units=count,
            unit="stage",
            once=True,
            note="seconds of the processor"
            + (" against `dvc repro` on the same study" if compared else ""),
        )


@functools.cache
def _long_study(count: int) -> dict[str, float]:
    return bookkeeping.after_ours(count)


def _preparation(world: World, count: int) -> Path:
    """Pictures as files: decoded, cut, resized and hashed, in this process."""
    size = world.sizes.image_size
    files = functools.cache(lambda: pictures(world.book.out / "pictures", count))
    return Path(
        name="preparation of pictures",
        ours=lambda now: prepared(files(), size, now),
        reference=lambda now: loading.prepared(files(), size),
        units=count,
        unit="image",
        note=f"JPEGs of CelebA's size to {size} pixels; one process, where a study takes all cores",
    )


def pictures(folder: File, count: int) -> list[File]:
    """So many, drawn where they are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:06d}.jpg" for number in range(1, count + 1)]
    for file in files:
        if not file.exists():
            preparation.draw(file)
    return files


def prepared(files: list[File], size: int, now: Now) -> Clocked:
    """(N, 3, size, size) uint8 by one of the processes that prepare a study."""
    images = torch.empty(len(files), 3, size, size, dtype=torch.uint8)
    entries = [Entry(file, None, "") for file in files]
    begun = now()
    decoding.decode(Reader(), images, list(enumerate(entries)))
    return Clocked(now() - begun, images)


def _without_words(stage: str, log: File) -> Command:
    """A stage that loads all it needs, says how it is called, and ends."""
    beside = f"{File(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    line = ("/bin/sh", "-c", f"exec python stages/{stage}.py")
    return Command(stage, (line,), str(ROOT), {**os.environ, "PATH": beside}, str(log))


def _seconds(command: Command, begin: Begin) -> float:
    ended = commands.execute(command, begin)
    assert ended.code == 2, f"{command.stage}: exit code {ended.code}"
    return ended.seconds


@functools.cache
def _server() -> Server:
    """One that has begun: it loads torch once a study."""
    server = Server()
    atexit.register(server.__exit__)
    _seconds(_without_words(STAGES[0], File(os.devnull)), server.begin)
    return server


def _books(way: str, what: str, stages: int) -> Clocked:
    """Seconds of a study of about so many stages, from nothing or when all is done."""
    return Clocked(_study(way, stages)[what], None)


@functools.cache
def _study(way: str, stages: int) -> dict[str, float]:
    """Both of one way: a study is made once."""
    rows = bookkeeping.of(way, stages)
    return {what: row["value"] for what, row in zip(bookkeeping.TIMES, rows, strict=True)}
