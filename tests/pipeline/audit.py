"""Runs the stages of a study one by one and writes down what each one opens and calls.

    python audit.py RESULT < STAGES    in the root of the study

STAGES and RESULT are JSON: {stage: [script, word, ...]} in running order, and {stage: {"opened":
[file, ...], "called": [[file, line], ...], "asked": [parameter, ...]}}: where a function that was
called begins, and which parts of params.yaml were asked for. What runs while a module is being
imported is left out: it matters by the names that it makes.
The heavy libraries are imported once; every stage then is a fork, and costs no start of its own.
Every function of the study is compiled with a call to `Called` before its own statements: to have
Python trace a stage would make all libraries, too, slower by half.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import json
import os
import shutil
import sys
import traceback
import warnings
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FrameType, ModuleType
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


PROBE = "__called__"  # a name of `builtins`, which every module sees


class Called:
    """What every function of the study calls first: where it begins."""

    def __init__(self) -> None:
        self.places: set[tuple[str, int]] = set()

    def __call__(self, file: str, line: int) -> None:
        if (file, line) not in self.places and not _while_importing(sys._getframe(1)):
            self.places.add((file, line))


def _while_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") != "__main__":
            return True
        frame = frame.f_back
    return False


def compiled(file: Path) -> CodeType:
    """A file, in which every function calls `PROBE` first: lambdas and comprehensions, too."""

    def call(line: int) -> ast.Call:
        words: list[ast.expr] = [ast.Constant(str(file)), ast.Constant(line)]
        return ast.Call(ast.Name(PROBE, ast.Load()), words, [])

    def and_then(line: int, value: ast.expr) -> ast.BoolOp:
        return ast.BoolOp(ast.Or(), [call(line), value])  # the call returns None

    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                documented = ast.get_docstring(node, clean=False) is not None
                line = min([node.lineno, *(one.lineno for one in node.decorator_list)])
                node.body.insert(documented, ast.Expr(call(line)))
            case ast.Lambda():
                node.body = and_then(node.lineno, node.body)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                first = node.generators[0]
                first.iter = and_then(node.lineno, first.iter)
    return compile(ast.fix_missing_locations(tree), file, "exec", dont_inherit=True)


def _import_from(codes: Mapping[str, CodeType]) -> None:
    """From now on a module whose file is among these has their code, in forks as well."""
    own = SourceFileLoader.get_code

    def code(loader: SourceFileLoader, name: str) -> CodeType | None:
        found = codes.get(loader.get_filename(name))
        return own(loader, name) if found is None else found

    SourceFileLoader.get_code = code  # type: ignore[method-assign]


def _run(script: str, words: list[str], code: CodeType, into: Path) -> None:
    opened, called = _Opened(), Called()
    sys.addaudithook(opened)
    setattr(builtins, PROBE, called)
    sys.argv = [script, *words]
    sys.path[0] = str(Path(script).parent.resolve())
    sys.modules["__main__"] = main = ModuleType("__main__")
    main.__file__ = code.co_filename
    exec(code, vars(main))
    stage = sys.modules.get("_stage")  # the stage `code` has none, and no parameters
    asked = sorted(stage._watch._study.asked) if stage else []
    found = {"opened": sorted(opened.files), "called": sorted(called.places), "asked": asked}
    into.write_text(json.dumps(found), encoding="utf-8")


def main(result: str) -> None:
    # `rmtree` then opens whole paths, not names relative to a folder that is open.
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
    stages: dict[str, list[str]] = json.load(sys.stdin)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _LIBRARIES:
            importlib.import_module(name)
    files = [file for part in ("src", "stages") for file in Path(part).resolve().rglob("*.py")]
    codes = {str(file): compiled(file) for file in files}
    _import_from(codes)
    found: dict[str, Any] = {}
    into = Path(f"{result}.part")
    for stage, (script, *words) in stages.items():
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _run(script, words, codes[str(Path(script).resolve())], into)
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
