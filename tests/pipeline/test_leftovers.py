"""`trapmid clean`: what DVC says that rows write, of rows that are gone."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import graph
import pytest
from checkout import Checkout

from trapmid import cli, leftovers
from trapmid.artifacts import locks
from trapmid.config import params

# What a person put there, and what stands there by itself.
KEPT = [
    *("data/README.md", "models/README.md", "reports/paper/numbers.csv", "reports/baseline.json"),
    *("data/external/faces/.DS_Store", "data/external/faces/1.jpg", "models/external/x.pt"),
    *("data/raw/mine/celeba/1.jpg", "data/raw/mine/.DS_Store", "data/raw/README.md"),
    *("models/targets/notes.txt", "weights/mine.pt", "reports/scores/targets/README.md"),
]
CUT_OFF = [
    *("models/targets/none-0/.model.pt.123.tmp", "reports/.metrics.json.9.tmp"),
    *("data/raw/.toy.partial", "data/raw/.toy.ab3_9xyz"),
    *("reports/.DS_Store", "models/targets/none-0/.DS_Store"),
]


def write(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("x", encoding="utf-8")


def outputs(stages: dict[str, graph.Stage]) -> set[str]:
    """All that rows make."""
    return {out for stage in stages.values() if stage.row for out in stage.outs}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout of the toy profile; look, do not touch."""
    return Checkout.make(tmp_path_factory.mktemp("toy") / "copy")


@pytest.fixture
def copy(toy: Checkout, tmp_path: Path) -> Checkout:
    return toy.copy(tmp_path / "copy")


@pytest.fixture
def clean(
    copy: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs `trapmid clean` in the copy: exit code and what it printed. Its code is ours."""
    monkeypatch.chdir(copy.root)

    def run(*words: str) -> tuple[int, str]:
        code = cli.main(["clean", *words])
        out, err = capsys.readouterr()
        return code, out + err

    return run


@pytest.mark.slow
def test_the_outputs_of_rows_that_are_gone_and_nothing_else(
    copy: Checkout, clean: Callable[..., tuple[int, str]]
) -> None:
    """What they are says DVC, of the rows before and after."""
    before = outputs(graph.load(copy.root))
    for out in before:
        write(copy.root / out if Path(out).suffix else copy.root / out / "a" / "file")
    for name in (*KEPT, *CUT_OFF):
        write(copy.root / name if "/.toy." not in name else copy.root / name / "1.jpg")
    copy.append("dvc.lock", "schema: '2.0'\nstages: {make_raw@toy: {cmd: x}}\n")
    copy.choose("small")
    after = outputs(graph.load(copy.root))
    assert before - after and before & after
    expected = (before - after) | set(CUT_OFF)
    code, listed = clean()
    assert code == 0
    *paths, last = listed.splitlines()
    assert set(paths) == expected and paths == sorted(paths, key=Path)
    assert last == f"{len(expected)} left over; `trapmid clean --yes` removes them"
    assert all((copy.root / path).exists() for path in expected)

    assert clean("--yes")[0] == 0
    assert not any((copy.root / path).exists() for path in expected)
    assert all((copy.root / path).exists() for path in (*KEPT, *(before & after)))
    assert not (copy.root / "models/evaluators/judge").exists()  # empty folders go, too
    assert clean() == (
        0,
        "nothing is left over: rows of params.yaml make all there is\n",
    )


def test_a_raw_folder_goes_if_dvc_made_it(copy: Checkout) -> None:
    write(copy.root / "data/raw/old/1.jpg")
    study = params.read(copy.root / "params.yaml")
    assert leftovers.find(copy.root, study) == []
    copy.append("dvc.lock", "schema: '2.0'\nstages: {make_raw@old: {cmd: x}}\n")
    assert leftovers.find(copy.root, study) == [Path("data/raw/old")]


def test_what_a_link_leads_to_stays(copy: Checkout, tmp_path: Path) -> None:
    write(tmp_path / "disk" / "stats.json")
    link = copy.root / "reports/training/targets/gone-0"
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "disk")
    found = leftovers.find(copy.root, params.read(copy.root / "params.yaml"))
    assert found == [Path("reports/training/targets/gone-0")]
    leftovers.remove(copy.root, found)
    assert not link.is_symlink()
    assert (tmp_path / "disk" / "stats.json").exists()


def test_nothing_is_removed_while_a_stage_works(copy: Checkout) -> None:
    gone = Path("models/leaks/gone.pt")
    write(copy.root / gone)
    lock = copy.root / locks.ROWS / "invert.none-0.lock"
    with locks.only_one(lock, "invert none-0"), pytest.raises(BlockingIOError, match=r"invert\.n"):
        leftovers.remove(copy.root, [gone])
    assert (copy.root / gone).exists()


def test_nothing_is_removed_while_dvc_works(
    copy: Checkout, clean: Callable[..., tuple[int, str]]
) -> None:
    """zc.lockfile, by which DVC locks, is flock."""
    lock = copy.root / ".dvc" / "tmp" / "lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write(f" {os.getpid()}\n")
        stream.flush()
        code, printed = clean("--yes")
    assert code == 2
    assert printed == (
        f"trapmid clean: error: DVC: another process is at work on it (pid {os.getpid()})\n"
    )


def test_a_wrong_params_file_decides_nothing(
    copy: Checkout, clean: Callable[..., tuple[int, str]]
) -> None:
    write(copy.root / "models/leaks/gone.pt")
    copy.edit("params.yaml", "beta: 0.3", "beta: 3")
    code, printed = clean("--yes")
    assert code == 2 and "trapdoor.beta: 3.0 is outside" in printed
    assert (copy.root / "models/leaks/gone.pt").exists()


def test_a_leftover_inside_a_leftover_is_one(
    copy: Checkout, clean: Callable[..., tuple[int, str]]
) -> None:
    gone = copy.root / "reports/training/targets/gone-0"
    for name in ("history.csv", ".DS_Store", ".history.csv.12.tmp"):
        write(gone / name)
    code, printed = clean("--yes")
    assert code == 0 and "reports/training/targets/gone-0\n" in printed
    assert ".DS_Store" not in printed and not gone.exists()


def test_what_stands_behind_a_link_is_not_ours(
    copy: Checkout, clean: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    write(tmp_path / "disk" / "model.pt")
    link = copy.root / "models/targets/gone-0"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "disk")
    assert clean("--yes")[0] == 0
    assert (tmp_path / "disk" / "model.pt").exists() and link.is_symlink()


@pytest.mark.parametrize("text", ["", "schema: '2.0'\nstages:\n  a:\n    cmd: [", "stages:\n"])
def test_a_lock_file_that_a_crash_cut_off_is_named(
    copy: Checkout, clean: Callable[..., tuple[int, str]], text: str
) -> None:
    (copy.root / "dvc.lock").write_text(text, encoding="utf-8")
    code, printed = clean()
    assert code != 0 and "dvc.lock: is" in printed and printed.count("\n") == 1
