"""Pictures of a data set, decoded by every core, each once however often a run is cut off.

Processes, not threads, where there are many pictures: what Python does for a picture takes a third
of its time, and the interpreter's lock would let one core do it. Each process has its libjpeg to
itself, whose warnings then tell damage at no cost (`libjpeg`).
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from trapmid.data import libjpeg
from trapmid.data.listing import DataError, Entry, Reader
from trapmid.data.pixels import Decoded, Pixels, mapped, pixel_hash

_MANY = 2000  # pictures for which the start of processes, three seconds, pays
_PART = 64  # pictures of one task, and what a process that is killed has to decode again
_THREADS = 8  # for a few: PIL decodes outside the interpreter's lock

_Part = Sequence[tuple[int, Entry]]  # place of an image, and the image


class Loaded(NamedTuple):
    """Decoded images, in the order of their entries."""

    images: Tensor  # (N, 3, S, S) uint8
    hashes: list[str]  # see `pixel_hash`


def load(
    reader: Reader, entries: Sequence[Entry], size: int, what: str, folder: Path | None
) -> Loaded:
    """Decodes, crops and resizes pictures; the first wrong one in order stops it all.

    Args:
        reader: of their layout.
        entries: the pictures.
        size: S, of the decoded images.
        what: title of the progress bar.
        folder: keeps what is decoded, so that another call goes on; the images are then mapped from
            a file in it. None: in memory, and by threads.

    Raises:
        DataError: a picture is missing, damaged or of another size than the reader's.
        OSError: `folder` cannot be written, or a process was killed from outside.
    """
    pixels = Pixels(entries, size, folder)
    left = [pair for pair in enumerate(entries) if pair[0] not in pixels.known]
    parts = [left[start : start + _PART] for start in range(0, len(left), _PART)]
    with (
        _working(reader, pixels, len(left)) as (executor, work),
        tqdm(
            total=len(entries), initial=len(pixels.known), desc=what, unit="img", mininterval=1
        ) as bar,
    ):
        try:
            for part in executor.map(work, parts):
                pixels.keep(part)
                bar.update(len(part))
        except BrokenProcessPool:
            raise OSError(
                f"{what}: a process that decodes was killed (is memory short?); run it again, "
                "what was decoded is kept"
            ) from None
        except BaseException:
            executor.shutdown(cancel_futures=True)
            raise
    return Loaded(pixels.images, [pixels.known[place] for place in range(len(entries))])


def decode(reader: Reader, images: Tensor, part: _Part) -> list[Decoded]:
    """Fills the rows of `images` that `part` names.

    Raises:
        DataError: naming the file and, if any, its line in a list.
    """
    return [_decode(reader, images, place, entry) for place, entry in part]


def _decode(reader: Reader, images: Tensor, place: int, entry: Entry) -> Decoded:
    size, modified = _state(entry.file)
    try:
        images[place] = reader.load(entry.file, images.shape[-1])
    except DataError as error:
        where = f" ({entry.line})" if entry.line else ""
        raise DataError(f"{error}{where}") from None
    return Decoded(place, size, modified, pixel_hash(images[place]))


def _state(file: Path) -> tuple[int, int]:
    """Size and time of a file; of one that cannot be asked, what no file has."""
    try:
        found = file.stat()
    except OSError:  # the reader says what is wrong
        return -1, 0
    return found.st_size, found.st_mtime_ns


# --- processes ----------------------------------------------------------------------------------


@contextmanager
def _working(
    reader: Reader, pixels: Pixels, count: int
) -> Iterator[tuple[Executor, Callable[[_Part], list[Decoded]]]]:
    """Who decodes `count` pictures, and how it is told."""
    if pixels.file is None or count < _MANY:
        with ThreadPoolExecutor(_THREADS) as threads:
            yield threads, partial(decode, reader, pixels.images)
        return
    # A server that has loaded torch once forks the processes: they share that memory.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "torchvision.io"])
    begin = partial(_begin, reader, pixels.file, pixels.images.shape)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with ProcessPoolExecutor(cores, context, begin) as processes:
        yield processes, _decode_here


_here: Callable[[_Part], list[Decoded]] | None = None  # of a process that decodes


def _begin(reader: Reader, file: Path, shape: Sequence[int]) -> None:
    """What a process does before its first part."""
    global _here
    torch.set_num_threads(1)
    libjpeg.listen()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _here = partial(decode, reader, mapped(file, shape))


def _end_with_parent() -> None:
    """A killed parent tells its processes nothing, and they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _decode_here(part: _Part) -> list[Decoded]:
    assert _here is not None
    return _here(part)
