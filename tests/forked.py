"""Commands of Python that need not load torch and DVC: each is a fork of a process that has.

That process has imported nothing of this project, so that a fork imports it from where its own
environment says: tests change copies of it. It has no threads, which a fork would lose.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import random
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

_PRELOADED = ("dvc.cli", "dvc.commands.repro", "dvc.repo", "filelock", "numpy", "torch", "tqdm")
# What DVC's shell finds as `python`: a stage is a fork, too.
_COMMAND = """\
#!/bin/sh
case "$1" in
    stages/*) exec {python} -I -S {this} ask {address} "$@" ;;
    *) exec {python} "$@" ;;
esac
"""


def python(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Runs `python WORDS` there: a script or `-m` and a module, and what they are told.

    Returns:
        Exit code, and what it printed: output and errors as they came.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as printed, open(os.devnull) as nothing:
        files = [nothing.fileno(), printed.fileno(), printed.fileno()]
        if sys.platform == "linux":
            server = _server()
            path = f"{server}{os.pathsep}{environment.get('PATH', os.defpath)}"
            code = _ask(server / "socket", words, folder, {**environment, "PATH": path}, files)
        else:  # torch does not outlive a fork
            command = [sys.executable, *words]
            stdin, stdout, stderr = files
            code = subprocess.call(
                command, cwd=folder, env=environment, stdin=stdin, stdout=stdout, stderr=stderr
            )
        printed.seek(0)
        return code, printed.read()


@functools.cache
def _server() -> Path:
    """Starts the process that is forked; returns a folder with its socket and the command.

    It ends with this process.
    """
    folder = tempfile.TemporaryDirectory()
    address, command = Path(folder.name) / "socket", Path(folder.name) / "python"
    words = {"python": sys.executable, "this": __file__, "address": str(address)}
    text = _COMMAND.format(**{name: shlex.quote(word) for name, word in words.items()})
    command.write_text(text, encoding="utf-8")
    command.chmod(0o755)
    others = ("DVC_", "MLFLOW_", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, __file__, "serve", str(listener.fileno())],
            env={k: v for k, v in os.environ.items() if not k.startswith(others)},
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
    atexit.register(folder.cleanup)
    atexit.register(process.communicate)  # the end of its input is its own
    return Path(folder.name)


def _ask(
    address: Path,
    words: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    files: Sequence[int],
) -> int:
    """Has the server run it with these files as 0, 1 and 2; returns the exit code."""
    request = {"words": words, "folder": str(folder), "environment": dict(environment)}
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(str(address))
        socket.send_fds(server, [b"+"], files)
        server.sendall(json.dumps(request).encode())
        server.shutdown(socket.SHUT_WR)
        with server.makefile() as answer:
            return int(answer.readline())


# --- in the server --------------------------------------------------------------------------------


def _serve(listener: socket.socket) -> socket.socket:
    """Forks for every request; returns, in the fork, from where it comes."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait
    while True:
        ready, _, _ = select.select([sys.stdin, listener], [], [])
        if listener not in ready:
            sys.exit()
        request, _ = listener.accept()
        if _fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            return request
        request.close()


def _begun(request: socket.socket) -> Mapping[str, Any]:
    """Returns what is asked for in another fork; here it waits for that one, and says its code."""
    with request:
        _, files, _, _ = socket.recv_fds(request, 1, 3)
        with request.makefile("rb") as stream:
            asked: Mapping[str, Any] = json.load(stream)
        if (pid := _fork()) != 0:
            _, status = os.waitpid(pid, 0)
            request.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os._exit(0)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    return asked


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12's, of any thread
        return os.fork()


def _end_as(run: Callable[[], None]) -> NoReturn:
    """Ends this process as an interpreter would that ran it, but leaves its modules as they are."""
    code: Any = 1
    try:
        run()
        code = 0
    except SystemExit as end:
        code = end.code
        if not isinstance(code, int | None):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def _become(request: Mapping[str, Any]) -> None:
    """Makes of this fork what a new interpreter is, but for the seed of hashes; runs the words."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    random.seed()  # every fork would draw the same names
    first, *rest = request["words"]
    own = os.getcwd() if first == "-m" else str(Path(first).resolve().parent)
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [own, *(os.path.abspath(path) for path in paths if path)]
    if first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *rest]
        runpy.run_path(first, run_name="__main__")


def _main(verb: str, word: str, *words: str) -> None:
    if verb == "ask":
        sys.exit(_ask(Path(word), words, Path.cwd(), os.environ, (0, 1, 2)))
    with socket.socket(fileno=int(word)) as listener:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in _PRELOADED:
                importlib.import_module(name)
        gc.collect()
        gc.freeze()  # pages that no collector touches stay shared
        asked = _begun(_serve(listener))
    _end_as(lambda: _become(asked))


if __name__ == "__main__":
    _main(*sys.argv[1:])
