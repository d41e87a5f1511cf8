"""A folder that is there as a whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from trapmid.data.listing import DataError


def check_free(to: Path) -> None:
    """Refuses a place where something stands; an empty folder is nothing.

    Raises:
        DataError: it says what to do.
    """
    taken = to.is_symlink() or (to.exists() and not (to.is_dir() and not any(to.iterdir())))
    if taken:
        raise DataError(f"{to}: is there already; remove it, or name another place by --to")


def check_there(source: Path) -> None:
    """Refuses a source that is not there.

    Raises:
        DataError: it names it.
    """
    if not source.exists():
        raise DataError(f"{source}: no such file or folder")


def check_apart(source: Path, to: Path) -> None:
    """Refuses a place inside the source: a link there would lead to its own parent, in a circle.

    Raises:
        DataError: it names both.
    """
    home, place = source.resolve(), Path(os.path.realpath(to.parent)) / to.name
    if place == home or (source.is_dir() and place.is_relative_to(home)):
        raise DataError(
            f"{to}: lies inside of {source}, where it comes from; name the folder of the data set "
            "itself by --from, or another place by --to"
        )


def link(source: Path, to: Path) -> None:
    """`to` becomes a link to the folder `source`.

    Raises:
        DataError: it cannot be made.
    """
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        if to.is_dir():
            to.rmdir()  # empty, see `check_free`
        to.symlink_to(source.resolve())
    except OSError as error:
        raise DataError(f"{to}: cannot be made ({error.strerror})") from None


@contextmanager
def new(to: Path, source: Path) -> Iterator[Path]:
    """A folder that takes the place of `to` when the block ends well, and goes when it does not.

    Raises:
        DataError: it cannot be written; or the block raised it, and what it says of the folder is
            said of `source`.
    """
    partial = to.with_name(f".{to.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
        partial.mkdir(parents=True)
        yield partial
        partial.replace(to)
    except DataError as error:
        raise DataError(str(error).replace(str(partial), str(source))) from None
    except OSError as error:
        raise DataError(f"{to}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def fill(files: Iterable[tuple[Path, Path]], *, copy: bool) -> None:
    """Puts files, each given as (source, place), there: as links, or as copies."""
    for source, to in tqdm(
        list(files), desc="copy" if copy else "link", unit="file", mininterval=1
    ):
        to.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            shutil.copyfile(source, to)
        else:
            to.symlink_to(os.path.realpath(source))  # whatever a link of theirs leads to


def md5(file: Path) -> str:
    """The MD5 of a file, 32 hexadecimal digits: what its authors, or torchvision, know it by."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def sha256(file: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
