"""The SQLite file: made whole, brought up to date beside the old one, or refused in one line."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing

import pytest

from trapmid.tracking import database
from trapmid.tracking.database import DatabaseError, prepare

REVISIONS = ["new", "middle", "old"]


@pytest.fixture
def file(tmp_path):
    folder = tmp_path / "what? 100%20 sure"
    folder.mkdir()
    return folder / "mlflow.db"


def make(path):
    """What MLflow does, in short: tables in an empty file, the newest revision in any."""
    with closing(sqlite3.connect(path)) as store:
        store.execute("CREATE TABLE IF NOT EXISTS runs (run_uuid TEXT)")
        store.execute("CREATE TABLE IF NOT EXISTS alembic_version (version_num TEXT)")
        store.execute("DELETE FROM alembic_version")
        store.execute("INSERT INTO alembic_version VALUES ('new')")
        store.commit()


def make_half(path):
    """As a process that is killed, or a disk that is full."""
    with closing(sqlite3.connect(path)) as store:
        store.execute("CREATE TABLE runs (run_uuid TEXT)")
        store.commit()
    raise OSError(28, "No space left on device")


def write(file, revision, runs=("first",)):
    make(file)
    with closing(sqlite3.connect(file)) as store:
        store.executemany("INSERT INTO runs VALUES (?)", [(run,) for run in runs])
        store.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        store.commit()


def content(file):
    with closing(sqlite3.connect(file)) as store:
        (revision,) = store.execute("SELECT version_num FROM alembic_version").fetchone()
        return revision, [run for (run,) in store.execute("SELECT run_uuid FROM runs")]


def names(file):
    return sorted(path.name for path in file.parent.iterdir())


@pytest.mark.parametrize("before", ["missing", "empty"])
def test_a_new_file_is_whole_or_not_there(file, before):
    if before == "empty":
        file.touch()
    with pytest.raises(OSError, match="No space left"):
        prepare(file, REVISIONS, make_half)
    assert not file.exists() or file.stat().st_size == 0
    (file.parent / "mlflow.db.new-killed").mkdir()
    prepare(file, REVISIONS, make)
    assert content(file) == ("new", [])
    assert names(file) == ["mlflow.db"]


def test_a_file_of_this_release_is_left_alone(file):
    write(file, "new")
    before = file.read_bytes()
    prepare(file, REVISIONS, make_half)  # is not called
    assert file.read_bytes() == before


def test_an_older_file_is_copied_first(file, capsys):
    write(file, "old")
    with pytest.raises(OSError, match="No space left"):
        prepare(file, REVISIONS, _fails)
    assert content(file) == ("old", ["first"])
    prepare(file, REVISIONS, make)
    assert content(file) == ("new", ["first"])
    assert content(file.with_name("mlflow.db.old")) == ("old", ["first"])
    assert names(file) == ["mlflow.db", "mlflow.db.old"]
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and "of an older MLflow" in out and "mlflow.db.old" in out


def test_what_was_kept_before_stays(file):
    kept = file.with_name("mlflow.db.old")
    for _ in range(3):
        file.unlink(missing_ok=True)
        write(file, "old")
        prepare(file, REVISIONS, make)
    assert names(file) == ["mlflow.db", *(f"{kept.name}{end}" for end in ("", ".1", ".2"))]


def _fails(_):
    raise OSError(28, "No space left on device")


def test_an_unfinished_file_is_made_anew(file, capsys):
    """As an earlier version left it, or MLflow itself, where it was killed at the first tables."""
    with pytest.raises(OSError, match="No space left"):
        make_half(file)
    prepare(file, REVISIONS, make)
    assert content(file) == ("new", [])
    assert "mlflow.db was unfinished" in capsys.readouterr().out
    assert names(file) == ["mlflow.db", "mlflow.db.unfinished"]


def test_what_cannot_be_used_is_said_at_once(file):
    write(file, "newer than this")
    _expect(file, "written by a newer MLflow (newer than this): update MLflow, or move it away")
    file.write_text("no database, but long enough to be read as the head of one " * 40)
    _expect(file, "file is not a database: move it away (`mv ")
    write_damaged(file)
    _expect(file, "move it away")
    file.unlink()
    file.mkdir()
    _expect(file, "no file: move it away")
    file.rmdir()
    os.mkfifo(file)
    _expect(file, "no file: move it away")


def write_damaged(file):
    """Whole at its head, and zeros in a page of the runs."""
    file.unlink()
    write(file, "new", [f"{number:0200}" for number in range(200)])
    size = file.stat().st_size
    with file.open("r+b") as stream:
        stream.seek(size - 8192)
        stream.write(bytes(8192))


def _expect(file, message):
    begun = time.monotonic()
    with pytest.raises(DatabaseError) as caught:
        prepare(file, REVISIONS, make)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert time.monotonic() - begun < 10


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file(file):
    write(file, "new")
    file.chmod(0)
    _expect(file, "move it away")


def test_a_file_that_another_program_writes(file, monkeypatch):
    monkeypatch.setattr(database, "_LOCK_SECONDS", 0.1)
    write(file, "new")
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        _expect(file, "database is locked: another program writes it")


def test_a_link_to_a_file_elsewhere_stays_one(file, tmp_path):
    elsewhere = tmp_path / "elsewhere.db"
    write(elsewhere, "old")
    file.symlink_to(elsewhere)
    prepare(file, REVISIONS, make)
    assert file.is_symlink() and content(elsewhere) == ("new", ["first"])
