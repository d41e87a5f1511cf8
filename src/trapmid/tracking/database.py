"""The SQLite file of a store: whole or not there, and looked at before MLflow opens it.

MLflow makes the tables of a new file, and those that a newer release added, step by step and in
place. One that was cut off in between is never opened again, one that was brought up to date can
no more be read by the release that wrote it. So both are done to another file, which takes the
place of this one when it is complete; what stood there before is kept.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

_LOCK_SECONDS = 5.0


class DatabaseError(ValueError):
    """The file cannot be used; the message is one line that says what to do."""


def prepare(file: Path, revisions: Sequence[str], make: Callable[[Path], None]) -> None:
    """Makes the file, or brings it up to date; one line is printed where an old one is kept.

    Args:
        file: which may be missing, or empty.
        revisions: of its tables, as this release of MLflow knows them; the newest is the first.
        make: creates the tables in an empty file, or brings those of an older one up to date.

    Raises:
        DatabaseError: the file is damaged, busy, no file, or of a newer release.
        OSError, sqlite3.Error: the disk is full, or the folder cannot be written.
    """
    file = Path(os.path.realpath(file))
    for left in file.parent.glob(f"{file.name}.new-*"):  # of a tracking that was killed
        shutil.rmtree(left, ignore_errors=True)
    if not _has_content(file):
        _replace(file, make, empty=True)
        return
    found, empty = _look(file)
    if found == revisions[0]:
        return
    if found is not None and found not in revisions:
        raise DatabaseError(f"written by a newer MLflow ({found}): update MLflow, or {_away(file)}")
    kept = _free(file.with_name(f"{file.name}.{found or 'unfinished'}"))
    _copy(file, kept)
    try:
        _replace(file, make, empty=empty)
    except BaseException:
        kept.unlink()  # `file` is still what it was
        raise
    what = "of an older MLflow, and brought up to date" if found else "unfinished, and made anew"
    print(f"{file.name} was {what}; as it was, it is kept as {kept.name}")


def _free(file: Path) -> Path:
    """The name, or the next one that nobody has: what was kept before stays."""
    name, number = file, 0
    while name.exists():
        number += 1
        name = file.with_name(f"{file.name}.{number}")
    return name


def _has_content(file: Path) -> bool:
    try:
        if file.exists() and not file.is_file():
            raise DatabaseError(f"it is a folder or the like, no file: {_away(file)}")
        return file.exists() and file.stat().st_size > 0
    except OSError as error:
        raise DatabaseError(f"{error.strerror}: {_away(file)}") from None


def _look(file: Path) -> tuple[str | None, bool]:
    """The revision of its tables, None where they are not finished; and whether it has no run."""
    try:
        with closing(_open(file)) as database:
            # Says now what MLflow would say after 20 s or more: a busy file, one that is read-only.
            database.execute("BEGIN IMMEDIATE")
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
            revision = _first(database, "version_num", "alembic_version", tables)
            return revision, _first(database, "run_uuid", "runs", tables) is None
    except sqlite3.DatabaseError as error:
        busy = str(error) == "database is locked"
        advice = "another program writes it" if busy else _away(file)
        raise DatabaseError(f"{' '.join(str(error).split())}: {advice}") from None


def _first(database: sqlite3.Connection, column: str, table: str, tables: set[str]) -> str | None:
    if table not in tables:
        return None
    row = database.execute(f"SELECT {column} FROM {table} LIMIT 1").fetchone()
    return None if row is None else str(row[0])


def _open(file: Path) -> sqlite3.Connection:
    uri = f"{file.absolute().as_uri()}?mode=rw"  # not made where it is missing
    return sqlite3.connect(uri, uri=True, timeout=_LOCK_SECONDS)


def _replace(file: Path, make: Callable[[Path], None], *, empty: bool) -> None:
    """Puts a complete file in the place of `file`: a new one, or its copy made up to date."""
    # A folder of its own: MLflow remembers the files that it has opened by their names.
    with tempfile.TemporaryDirectory(prefix=f"{file.name}.new-", dir=file.parent) as folder:
        made = Path(folder) / "mlflow.db"
        if not empty:
            _copy(file, made)
        make(made)
        made.replace(file)


def _copy(file: Path, to: Path) -> None:
    """By SQLite, which takes back what a killed writer left half done."""
    to.unlink(missing_ok=True)
    with closing(_open(file)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


def _away(file: Path) -> str:
    return f"move it away (`mv '{file}' '{file}.old'`)"
