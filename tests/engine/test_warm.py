"""A stage that is a fork is what it would be in an interpreter of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from trapmid.engine import commands, warm
from trapmid.engine.commands import Command, Crew, Ended
from trapmid.engine.warm import Script, Server

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")
SHELL = ("/bin/sh", "-c")
PYTHON = Path(sys.executable).parent

# What a script can see of itself and of where it runs, and what it computes.
LOOK = '''\
"""Looks around."""
import atexit, json, os, signal, sys

was_there = "torch" in sys.modules
import trapmid
import torch
from beside import NAME

atexit.register(print, "the last word", flush=True)
print(json.dumps({
    "argv": sys.argv, "path": sys.path, "name": __name__, "file": __file__, "folder": os.getcwd(),
    "doc": sys.modules["__main__"].__doc__, "beside": NAME, "stdin": sys.stdin.read(),
    "environment": dict(os.environ), "interrupt": str(signal.getsignal(signal.SIGINT)),
    "child": str(signal.getsignal(signal.SIGCHLD)), "threads": torch.get_num_threads(),
    "drawn": torch.manual_seed(0) and torch.randn(3).tolist(), "package": trapmid.__file__,
    "product": (torch.ones(64, 64).exp() @ torch.full((64, 64), 0.1)).sum().item(),
    "others": sorted(n for n in sys.modules if n.startswith("trapmid")),
}))
print(was_there, os.getppid(), file=sys.stderr)
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a study whose only stage is `look`; its stages lie elsewhere, as those of an audit."""
    (tmp_path / "project").mkdir()
    (study := tmp_path / "study").mkdir()
    (study / "stages").symlink_to(Path("../project"))
    write(study, LOOK)
    (study / "stages/beside.py").write_text("NAME = 'beside'\n", encoding="utf-8")
    return study


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        yield made


def command(folder: Path, *lines: str, **environment: str) -> Command:
    own = {"PATH": f"{PYTHON}{os.pathsep}{os.environ['PATH']}", "DVC_STAGE": "look@a"}
    whole = {**os.environ, **own, **environment}
    log = folder / f"{len(list(folder.glob('*.log')))}.log"
    return Command("look@a", tuple((*SHELL, one) for one in lines), str(folder), whole, str(log))


def write(folder: Path, body: str) -> None:
    (folder / "stages/look.py").write_text(body, encoding="utf-8")


def run(server: Server, one: Command) -> tuple[Ended, list[str]]:
    ended = commands.execute(one, server.begin)
    return ended, Path(one.log).read_text(encoding="utf-8").splitlines()


LINE = 'exec python stages/look.py word "$DVC_STAGE"'


@pytest.mark.slow
@linux
@pytest.mark.parametrize("threads", ["1", "2"])
def test_it_sees_and_computes_what_a_new_interpreter_does(
    folder: Path, server: Server, threads: str
) -> None:
    found: list[dict[str, Any]] = []
    loaded = []
    for begin in (commands.begin, server.begin):
        one = command(folder, LINE, OMP_NUM_THREADS=threads)
        assert commands.execute(one, begin).code == 0
        log = Path(one.log).read_text(encoding="utf-8").splitlines()
        assert log[-1] == "the last word"  # what is registered for the end is done
        (printed,) = [line for line in log if line.startswith("{")]
        (said,) = [line for line in log if line.startswith(("True", "False"))]
        found.append(json.loads(printed))
        for name in ("PWD", "OLDPWD", "SHLVL", "_"):  # the shell's, which starts the other
            found[-1]["environment"].pop(name, None)
        loaded.append(said.split()[0])
    assert loaded == ["False", "True"]
    assert found[0]["argv"] == ["stages/look.py", "word", "look@a"]
    assert found[0] == found[1]


@pytest.mark.slow
@linux
def test_how_it_ended(folder: Path, server: Server) -> None:
    ends = {
        "import sys; sys.exit('one line')": (1, "one line"),
        "raise SystemExit(3)": (3, None),
        "1 / 0": (1, "ZeroDivisionError: division by zero"),
        "import os; os.kill(os.getpid(), 9)": (-9, None),
        "print('fine')": (0, "fine"),
    }
    for body, (code, last) in ends.items():
        write(folder, body + "\n")
        ended, log = run(server, command(folder, LINE))
        assert (ended.code, log[-1:]) == (code, [] if last is None else [last]), body
    write(folder, "raise SystemExit(4)\n")
    assert run(server, command(folder, LINE, "echo no"))[0].code == 4


@pytest.mark.slow
@linux
def test_it_loads_the_code_that_is_there_now(folder: Path, server: Server) -> None:
    for name in ("first", "second"):
        (folder / "stages/beside.py").write_text(f"NAME = '{name}!'\n", encoding="utf-8")
        write(folder, "from beside import NAME; print(NAME)\n")
        assert run(server, command(folder, LINE, PYTHONDONTWRITEBYTECODE="1"))[1] == [f"{name}!"]


@pytest.mark.slow
@linux
def test_several_run_at_a_time_and_all_can_be_stopped(folder: Path, server: Server) -> None:
    write(folder, "import time; print('begun', flush=True); time.sleep(300)\n")
    several = [command(folder, LINE) for _ in range(2)]
    several[1] = Command(**{**vars(several[1]), "log": str(folder / "another.log")})
    ended: list[Ended] = []
    crew = Crew()
    threads = [
        threading.Thread(target=lambda c=c: ended.append(commands.execute(c, server.begin, crew)))
        for c in several
    ]
    for thread in threads:
        thread.start()
    until(lambda: all(commands.last_lines(c.log) == ["begun"] for c in several))
    crew.stop()
    for thread in threads:
        thread.join(timeout=60)
    assert [one.code for one in ended] == [-signal.SIGTERM] * 2


DRIVER = """
import sys
from trapmid.engine import commands, warm
from trapmid.engine.commands import Command
with warm.Server() as server:
    commands.execute(Command({!r}, {!r}, {!r}, {!r}, {!r}), server.begin)
"""


@pytest.mark.slow
@linux
def test_it_ends_with_its_driver(folder: Path) -> None:
    write(folder, "import os, time; print(os.getpid(), flush=True); time.sleep(300)\n")
    one = command(folder, LINE)
    driver = subprocess.Popen([sys.executable, "-c", DRIVER.format(*vars(one).values())])
    try:
        until(lambda: commands.last_lines(one.log))
        pid = int(commands.last_lines(one.log)[0])
        waiting = psutil.Process(pid).parent()
        assert waiting is not None
        family = [psutil.Process(pid), waiting, *psutil.Process(driver.pid).children()]
    finally:
        driver.kill()
        driver.wait()
    until(lambda: not any(p.is_running() and p.status() != "zombie" for p in family))


@linux
def test_what_is_no_stage_is_started_as_it_stands(folder: Path, server: Server) -> None:
    ended, log = run(server, command(folder, "echo $DVC_STAGE", "exit 5"))
    assert (ended.code, log) == (5, ["look@a"])
    assert server._started is None


@linux
def test_without_torch_it_is_started_as_it_stands(
    folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends at once, and whatever is wrong is said by the stage itself."""
    write(folder, "print('by itself')\n")
    monkeypatch.setattr(sys, "executable", str(PYTHON / "no-such-python"))
    assert run(server, command(folder, LINE))[1] == ["by itself"]
    monkeypatch.undo()
    assert run(server, command(folder, LINE))[1] == ["by itself"]  # and is not tried again
    assert not server._usable


def test_a_fork_that_cannot_be_had_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stages in flight are children of the server: it must outlive a full machine."""

    def none() -> int:
        raise BlockingIOError("no process can be had")

    monkeypatch.setattr(warm, "_fork", none)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGCHLD)}
    ours, theirs = socket.socketpair()
    answers, asked = socket.socketpair()
    with ours, theirs, answers, open(os.devnull, "wb") as log:
        with asked:
            socket.send_fds(ours, [b"+"], [asked.fileno(), log.fileno()])
        ours.shutdown(socket.SHUT_WR)
        try:
            with pytest.raises(SystemExit):  # as at its end, when the driver is gone
                warm._serve(theirs)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        assert answers.recv(1) == b""  # the driver starts this stage by itself


def test_which_commands_are_stages(folder: Path, tmp_path: Path) -> None:
    def found(line: str, **environment: str) -> Script | None:
        one = command(folder, line, **environment)
        return warm.script(one, one.lines[0])

    assert found("exec python stages/report.py") == Script("stages/report.py", ())
    assert found(LINE) == Script("stages/look.py", ("word", "look@a"))
    for other in (
        "python stages/report.py",
        "exec python stages/report.py; echo",
        "exec python stages/../report.py",
        "exec python stages/report.py > file",
        "exec python stages/report.py $HOME",
        "exec python3 stages/report.py",
    ):
        assert found(other) is None, other
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    for path in (str(python.parent), "", "/nowhere"):
        assert found(LINE, PATH=path) is None, path  # another environment's, or none
    one = command(folder, LINE)
    assert warm.script(one, ("/bin/sh", LINE)) is None


def test_every_command_of_the_graph_is_one() -> None:
    """Else a stage would load torch for itself, and nobody would notice."""
    text = (Path(__file__).resolve().parents[2] / "dvc.yaml").read_text(encoding="utf-8")
    lines = [line.split("cmd: ", 1)[1] for line in text.splitlines() if " cmd: " in line]
    assert len(lines) > 15
    for line in lines:
        one = Command("a", ((*SHELL, line),), ".", {"PATH": str(PYTHON)}, "log")
        assert warm.script(one, one.lines[0]) is not None, line


def until(found: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
