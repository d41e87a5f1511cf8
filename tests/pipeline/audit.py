"""Runs the stages of a study one by one and writes down what each one opens and calls.

    python audit.py RESULT < STAGES    in the root of the study

STAGES and RESULT are JSON: {stage: [script, word, ...]} in running order, and {stage: {"opened":
[file, ...], "called": [[file, line], ...], "asked": [parameter, ...]}}: where a function that was
called begins, and which parts of params.yaml were asked for. What runs while a module is being
imported is left out: it matters by the names that it makes.
The heavy libraries are imported once; every stage then is a fork, and costs no start of its own.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import runpy
import shutil
import sys
import threading
import traceback
import warnings
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_LIBRARIES = (
    "great_expectations.expectations",
    "jinja2",
    "matplotlib.figure",
    "mlflow",
    "pandas",
    "scipy.linalg",
    "sklearn.metrics",
    "torch",
    "torchvision",
)


# `rmtree` then opens whole paths, not names relative to a folder that is open.
shutil._use_fd_functions = False  # type: ignore[attr-defined]


class _Opened:
    """Python's audit hook: every file that is opened for reading."""

    def __init__(self) -> None:
        self.files: set[str] = set()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open":
            return
        path, mode, flags = arguments
        writes = (flags or 0) & os.O_ACCMODE == os.O_WRONLY if mode is None else mode[0] in "wxa"
        if isinstance(path, str | bytes) and not writes:
            self.files.add(os.path.abspath(os.fsdecode(path)))


class _Called:
    """A trace function: every function of this project that is called."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._seen: dict[int, CodeType] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if (
            id(code) not in self._seen
            and code.co_filename.startswith(self._root)
            and code.co_flags & inspect.CO_OPTIMIZED  # no body of a class or module
            and not _while_importing(frame)
        ):
            self._seen[id(code)] = code

    @property
    def places(self) -> list[tuple[str, int]]:
        return sorted({(code.co_filename, code.co_firstlineno) for code in self._seen.values()})


def _while_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") != "__main__":
            return True
        frame = frame.f_back
    return False


def _run(script: str, words: list[str], into: Path) -> None:
    opened, called = _Opened(), _Called(f"{os.getcwd()}{os.sep}")
    sys.addaudithook(opened)
    threading.settrace(called)
    sys.settrace(called)
    sys.argv = [script, *words]
    sys.path.insert(0, str(Path(script).parent.resolve()))
    runpy.run_path(str(Path(script).resolve()), run_name="__main__")
    sys.settrace(None)
    stage = sys.modules.get("_stage")  # the stage `code` has none, and no parameters
    asked = sorted(stage._watch._study.asked) if stage else []
    found = {"opened": sorted(opened.files), "called": called.places, "asked": asked}
    into.write_text(json.dumps(found), encoding="utf-8")


def main(result: str) -> None:
    stages: dict[str, list[str]] = json.load(sys.stdin)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _LIBRARIES:
            importlib.import_module(name)
    found: dict[str, Any] = {}
    into = Path(f"{result}.part")
    for stage, (script, *words) in stages.items():
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _run(script, words, into)
                code = 0
            except BaseException:  # the parent must not go on as this stage
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if status != 0:
            sys.exit(f"{stage} failed")
        found[stage] = json.loads(into.read_text(encoding="utf-8"))
        into.unlink()
    Path(result).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
