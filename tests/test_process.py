"""A stage ends with DVC, and no two processes work on one row."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trapmid.artifacts import locks

STAGES = Path(__file__).parents[1] / "stages"
PATIENCE = 2.0  # seconds within which a child must be gone

# What a stage does first; then it tells its number and works.
STAGE = """
import os, sys, threading, time
sys.path.insert(0, {stages!r})
import _process
{begin}
open("pid.new", "w").write(str(os.getpid()))
os.rename("pid.new", "pid")
time.sleep(60)
"""
END_WITH_DVC = "_process.end_with_dvc()"
WATCH = "threading.Thread(target=_process.watch, args=(os.getppid(), 0.1), daemon=True).start()"
# DVC's part: it starts a command and waits for it.
PARENT = "import subprocess, sys; subprocess.call([sys.executable, 'stage.py'])"


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[int]]:
    """Numbers of processes that must not outlive the test."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie, which nobody has asked for its end, does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return state.stdout.strip()[:1] not in ("", "Z")


def await_file(path: Path) -> int:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path.name}"
        time.sleep(0.05)
    return int(path.read_text(encoding="utf-8"))


def write_stage(folder: Path, begin: str) -> None:
    text = STAGE.format(stages=str(STAGES), begin=begin)
    (folder / "stage.py").write_text(text, encoding="utf-8")


def environment(**more: str) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("DVC_")} | more


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("begin", [END_WITH_DVC, WATCH], ids=["linux", "elsewhere"])
def test_it_goes_with_its_parent(
    tmp_path: Path, started: list[int], begin: str, sent: signal.Signals
) -> None:
    if begin == END_WITH_DVC and sys.platform != "linux":
        pytest.skip("the other case is the one of this system")
    write_stage(tmp_path, begin)
    named = environment(DVC_STAGE="train_target@none-0")
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=tmp_path, env=named)
    started += [parent.pid, child := await_file(tmp_path / "pid")]
    assert alive(child)
    parent.send_signal(sent)
    parent.wait()
    deadline = time.monotonic() + PATIENCE
    while alive(child):
        assert time.monotonic() < deadline, "the child goes on without its parent"
        time.sleep(0.05)


def test_what_a_person_started_goes_on(tmp_path: Path, started: list[int]) -> None:
    write_stage(tmp_path, END_WITH_DVC)
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=tmp_path, env=environment())
    started += [parent.pid, child := await_file(tmp_path / "pid")]
    parent.kill()
    parent.wait()
    time.sleep(PATIENCE / 2)
    assert alive(child)


def test_a_parent_that_ended_before_is_noticed(tmp_path: Path) -> None:
    """Between the start of a stage and its asking to be told."""
    write_stage(tmp_path, "_process.end_with(os.getppid() + 1)")
    done = subprocess.run([sys.executable, "stage.py"], cwd=tmp_path, timeout=30)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "pid").exists()


@pytest.mark.slow
def test_a_second_process_of_a_row_is_refused_whatever_its_parameters(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("raw: {toy: {maker: digits, options: {scale: 3}}}\n")
    lock = tmp_path / locks.ROWS / "make_raw.toy.lock"
    words = [sys.executable, str(STAGES / "make_raw.py"), "make_raw@toy"]
    with locks.only_one(lock, "make_raw toy"):
        done = subprocess.run(
            words, cwd=tmp_path, env=environment(), capture_output=True, text=True
        )
    assert done.returncode == 1
    assert done.stderr == (
        f"make_raw: error: make_raw toy: another process is at work on it (pid {os.getpid()})\n"
    )
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_dvc_takes_its_stage_along(
    tmp_path: Path, started: list[int], sent: signal.Signals
) -> None:
    """The real `dvc repro`, under the shell that leaves itself between DVC and a command."""
    write_stage(tmp_path, END_WITH_DVC)
    (tmp_path / "dvc.yaml").write_text(
        f"stages: {{train: {{cmd: exec {sys.executable} stage.py, outs: [model]}}}}\n"
    )
    shell = shutil.which("dash") or "/bin/sh"
    site = str(tmp_path / "site")
    shown = environment(SHELL=shell, DVC_NO_ANALYTICS="1", DVC_SITE_CACHE_DIR=site)
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--quiet", "--no-scm"], cwd=tmp_path, env=shown, check=True)
    parent = subprocess.Popen([*dvc, "repro", "--quiet"], cwd=tmp_path, env=shown)
    started += [parent.pid, child := await_file(tmp_path / "pid")]
    parent.send_signal(sent)
    parent.wait()
    deadline = time.monotonic() + PATIENCE
    while alive(child):
        assert time.monotonic() < deadline, "the stage goes on without DVC"
        time.sleep(0.05)
