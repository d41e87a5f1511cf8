"""Stages that need not load torch: each is a fork of a process that has loaded it.

A new interpreter takes one to four seconds until torch is there, which at 400 stages is half an
hour. The server is a process of its own with the environment of the commands; nothing computes in
it, so that no thread is lost with a fork. It has loaded torch and none of the project's modules:
a fork loads those as a new interpreter would. Linux alone: elsewhere torch does not outlive a fork.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import types
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

from trapmid.engine import commands
from trapmid.engine.commands import Command, Running

_PRELOADED = ("torch",)
_A_STAGE = re.compile(r'exec python (stages/[a-z_]+\.py)((?: (?:[a-z_]+|"\$DVC_STAGE"))*)')
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15  # linux/prctl.h


class Script(NamedTuple):
    """What a fork runs, as `python path words` would."""

    path: str  # below the command's folder
    words: tuple[str, ...]


def script(command: Command, line: tuple[str, ...]) -> Script | None:
    """What of dvc.yaml's commands is a stage of this interpreter; None: it is another command."""
    found = _A_STAGE.fullmatch(line[-1]) if line[-2:-1] == ("-c",) else None
    python = shutil.which("python", path=command.environment.get("PATH", ""))
    if found is None or python is None or not _beside_this(Path(python)):
        return None
    stage = command.environment.get("DVC_STAGE", "")
    return Script(found[1], tuple(w.replace('"$DVC_STAGE"', stage) for w in found[2].split()))


def _beside_this(python: Path) -> bool:
    """Of the same environment: the interpreters of several may be links to one file."""
    return python.is_absolute() and python.parent.samefile(Path(sys.executable).parent)


class Server:
    """Starts the process that is forked, with the first stage; a context, which ends it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started: tuple[subprocess.Popen[bytes], socket.socket] | None = None
        self._usable = sys.platform == "linux"

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self._started is not None:
            process, control = self._started
            control.close()
            process.kill()  # no stage runs any more, but it may still be loading
            process.wait()

    def begin(self, command: Command, line: tuple[str, ...], log: BinaryIO) -> Running:
        """As `commands.begin`; what is no stage, or where no fork can be had, is started so."""
        wanted = script(command, line) if self._usable else None
        running = None if wanted is None else self._forked(command, wanted, log)
        return commands.begin(command, line, log) if running is None else running

    def _forked(self, command: Command, wanted: Script, log: BinaryIO) -> Running | None:
        request = {
            "script": wanted,
            "folder": command.folder,
            "environment": commands.environment(command),
        }
        ours, theirs = socket.socketpair()
        try:
            with ours, theirs:
                with self._lock:
                    if self._started is None:
                        self._started = _start(command)
                    socket.send_fds(self._started[1], [b"+"], [theirs.fileno(), log.fileno()])
                theirs.close()  # so that the end of the server is the end of the answers
                ours.sendall(json.dumps(request).encode())
                ours.shutdown(socket.SHUT_WR)
                answers = ours.makefile("r", encoding="ascii")
            if pid := answers.readline():
                return _Fork(int(pid), answers)
            answers.close()
        except OSError:
            pass
        self._usable = False  # it has ended: torch cannot be loaded, as a stage will say
        return None


def _start(command: Command) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Starts the server; with it our end of the socket on which it gets requests, and ends."""
    ours, theirs = socket.socketpair()
    with theirs, contextlib.ExitStack() as undo:
        undo.callback(ours.close)
        process = subprocess.Popen(
            [sys.executable, "-m", "trapmid.engine.warm", str(theirs.fileno())],
            cwd=command.folder,
            env=commands.environment(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        undo.pop_all()
    return process, ours


class _Fork:
    """A stage that runs as a fork."""

    def __init__(self, pid: int, answers: Any) -> None:
        self._pid, self._answers = pid, answers

    def wait(self) -> int:
        with self._answers:
            code = self._answers.readline()
        return int(code) if code else -signal.SIGKILL  # whoever waited for it was killed

    def terminate(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.kill(self._pid, signal.SIGTERM)


# --- in the server --------------------------------------------------------------------------------


def _serve(control: socket.socket) -> Mapping[str, Any]:
    """Forks for every request; returns what is asked for, in the fork.

    Between the server and a stage stands a process that waits for the stage and says how it ended.
    """
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait
    while True:
        said, files, _, _ = socket.recv_fds(control, 1, 2)
        if not said:
            sys.exit()
        try:
            pid = _fork()
        except OSError:  # no process can be had: this stage begins cold, those in flight go on
            pid = -1
        if pid == 0:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            request = _begun(*files)
            signal.signal(signal.SIGINT, interrupt)
            return request
        for file in files:
            os.close(file)


def _begun(asked: int, log: int) -> Mapping[str, Any]:
    """Returns in the stage, which is a fork of this process; here it waits, and ends with it."""
    _end_with_parent()
    with socket.socket(fileno=asked) as answers:
        with answers.makefile("rb") as stream:
            request: Mapping[str, Any] = json.load(stream)
        if (pid := _fork()) != 0:
            _wait(pid, answers)
    _end_with_parent()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    return request


def _wait(pid: int, answers: socket.socket) -> NoReturn:
    answers.sendall(f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    answers.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _fork() -> int:
    with warnings.catch_warnings():
        # Python 3.12 warns of threads: OpenBLAS has some, and ends and begins them around a fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _end_with_parent() -> None:
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent == 1 or os.getppid() != parent:  # it ended before
        os.kill(os.getpid(), signal.SIGKILL)


def _become(request: Mapping[str, Any]) -> None:
    """Makes of this fork what a new interpreter is that runs the script, and runs it."""
    path, words = request["script"]
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for name in [one for one in sys.modules if one.partition(".")[0] == "trapmid"]:
        del sys.modules[name]
    sys.argv = [path, *words]
    sys.path[0] = os.path.dirname(os.path.realpath(path))
    ctypes.CDLL(None).prctl(_PR_SET_NAME, Path(path).stem.encode())  # as `top` shows it
    main = types.ModuleType("__main__")
    main.__file__ = str(Path(path).absolute())
    sys.modules["__main__"] = main
    exec(compile(Path(path).read_bytes(), main.__file__, "exec"), vars(main))


def _main() -> None:
    with socket.socket(fileno=int(sys.argv[1])) as control:
        for name in _PRELOADED:
            importlib.import_module(name)
        gc.collect()
        gc.freeze()  # pages that no collector touches stay shared
        request = _serve(control)
    _become(request)


if __name__ == "__main__":
    _main()
