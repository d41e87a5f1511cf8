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


def python(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Runs `python WORDS` there: a script or `-m` and a module, and what they are told.

    Returns:
        Exit code, and what it printed: output and errors as they came.
    """
    with tempfile.TemporaryDirectory() as made:
        printed = Path(made) / "printed"
        if sys.platform == "linux":
            server = _server()
            request = {
                "words": words,
                "folder": str(folder),
                "environment": dict(environment),
                "printed": str(printed),
            }
            assert server.stdin is not None and server.stdout is not None
            server.stdin.write(f"{json.dumps(request)}\n")
            server.stdin.flush()
            code = int(server.stdout.readline())
        else:  # torch does not outlive a fork
            with printed.open("wb") as stream:
                code = subprocess.call(
                    [sys.executable, *words],
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                )
        return code, printed.read_text(encoding="utf-8")


@functools.cache
def _server() -> subprocess.Popen[str]:
    """Starts the process that is forked; it ends with this one."""
    others = ("DVC_", "MLFLOW_", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    process = subprocess.Popen(
        [sys.executable, __file__],
        env={k: v for k, v in os.environ.items() if not k.startswith(others)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate)  # which ends its requests
    return process


# --- in the server --------------------------------------------------------------------------------


def _serve() -> Mapping[str, Any]:
    """Forks for every request and says how the fork ended; returns what is asked for, in it."""
    for line in iter(sys.stdin.readline, ""):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12's, of any thread
            pid = os.fork()
        if pid == 0:
            request: Mapping[str, Any] = json.loads(line)
            return request
        _, status = os.waitpid(pid, 0)
        os.write(1, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    sys.exit()


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
    """Makes of this fork what a new interpreter is, and runs the words."""
    for number, file in enumerate((os.devnull, request["printed"])):
        opened = os.open(file, os.O_RDWR | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    os.dup2(1, 2)
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


def _main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _PRELOADED:
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # pages that no collector touches stay shared
    request = _serve()
    _end_as(lambda: _become(request))


if __name__ == "__main__":
    _main()
