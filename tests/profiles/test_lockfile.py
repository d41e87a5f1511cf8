"""A dvc.lock that a crash cut off is one line that says how to go on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import shipped
from trapmid import cli
from trapmid.profiles import lockfile

ROOT = Path(__file__).parents[2]
WAY_ON = "`git checkout dvc.lock`, then `dvc repro`"


def written(folder: Path, text: str) -> Path:
    path = folder / "dvc.lock"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_one_and_none_at_all_are_right(tmp_path: Path) -> None:
    assert lockfile.problem(ROOT / "dvc.lock") is None
    assert lockfile.problem(tmp_path / "dvc.lock") is None


@pytest.mark.parametrize("text", ["", "\n", "\0" * 4096])
def test_an_empty_one_is_named(tmp_path: Path, text: str) -> None:
    found = lockfile.problem(written(tmp_path, text))
    assert found is not None and f"dvc.lock: is empty, as after a crash of DVC; {WAY_ON}" in found
    assert "\n" not in found


@pytest.mark.parametrize(
    "text",
    [
        "schema: '2.0'\nstages:\n",
        "schema: '2.0'\nstages:\n  make:\n",
        "schema: '2.0'\nstages:\n  make:\n    deps: []\n",
        "schema: '2.0'\nstages:\n  make:\n    cmd: 'python",
        "stages:\n  make:\n    cmd: python\n",
        "<<<<<<< HEAD\nschema: '2.0'\n",
    ],
)
def test_one_that_was_cut_off_is_named(tmp_path: Path, text: str) -> None:
    found = lockfile.problem(written(tmp_path, text))
    assert found is not None and f"dvc.lock: is not whole, as after a crash; {WAY_ON}" in found
    assert "\n" not in found


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "params.yaml").write_text(shipped.text("small"))
    monkeypatch.chdir(tmp_path)
    written(tmp_path, (ROOT / "dvc.lock").read_text(encoding="utf-8"))
    assert cli.main(["check"]) == 0
    written(tmp_path, "")
    assert cli.main(["check"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("trapmid check: error: dvc.lock: is empty") and shown.count("\n") == 1


MAKE = """\
stages:
  make:
    cmd: cat word > made && echo ran >> log
    deps: [word]
    outs: [made]
"""


def run(folder: Path, *command: str, works: bool = True) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == works, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_way_on_is_one(tmp_path: Path) -> None:
    """With DVC itself: an empty file stops every command, and what was made since comes back."""
    (tmp_path / "dvc.yaml").write_text(MAKE)
    (tmp_path / "word").write_text("one")
    run(tmp_path, "git", "init", "--quiet")
    run(tmp_path, "dvc", "init", "--quiet")
    run(tmp_path, "dvc", "repro", "--quiet")
    run(tmp_path, "git", "add", "--all")
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    run(tmp_path, "git", *who, "commit", "--quiet", "--message", "one")
    (tmp_path / "word").write_text("two")  # what the commit does not know
    run(tmp_path, "dvc", "repro", "--quiet")

    written(tmp_path, "")
    run(tmp_path, "dvc", "status", works=False)
    assert lockfile.problem(tmp_path / "dvc.lock") is not None
    run(tmp_path, "git", "checkout", "dvc.lock")
    run(tmp_path, "dvc", "repro", "--quiet")
    assert (tmp_path / "made").read_text() == "two"
    assert (tmp_path / "log").read_text() == "ran\n" * 2  # the third is from the run cache


def test_a_stage_that_read_another_text_is_seen(tmp_path: Path) -> None:
    read = tmp_path / "params.yaml"
    read.write_text("seeds: [0]\n", encoding="utf-8")  # its MD5 by md5sum
    lock = written(
        tmp_path,
        "schema: '2.0'\nstages:\n  report:\n    cmd: make\n    deps:\n"
        f"    - path: {read.as_posix()}\n      md5: 983cb5a83c7c678ba735de701d08e51d\n",
    )
    assert not lockfile.changed_since(lock, "report", read)
    read.write_text("seeds: [1]\n", encoding="utf-8")
    assert lockfile.changed_since(lock, "report", read)
    assert not lockfile.changed_since(lock, "track", read)  # it never ran
    assert not lockfile.changed_since(tmp_path / "nowhere", "report", read)
    assert not lockfile.changed_since(written(tmp_path, "\0" * 64), "report", read)
