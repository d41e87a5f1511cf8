"""The tests that need a GPU, as pytest runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from xml.etree import ElementTree

from gpu.results import ROOT, Book, Measure, Row, row

SECONDS = 100


def measurements(book: Book) -> dict[str, Measure]:
    return {"gpu": partial(_run, book)}


def _run(book: Book) -> Iterator[Row]:
    if find_spec("pytest") is None:
        yield row("left out", "no pytest", "")
        return
    # Only these files: others need packages that a bare machine has not.
    tests = [f for f in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.gpu" in f.read_text()]
    if not tests:  # without a file pytest would collect all of them
        raise FileNotFoundError("tests/: no file with the mark gpu")
    report = book.kept / "suite.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-W", "default"]
    command += ["--continue-on-collection-errors", "-p", "no:cacheprovider"]
    command += [f"--junitxml={report}", *map(str, tests)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ}, timeout=SECONDS, text=True, capture_output=True
    )
    print("\n".join((done.stdout + done.stderr).splitlines()[-120:]), flush=True)
    suite = next(ElementTree.parse(report).getroot().iter("testsuite"))
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    passed = counts.pop("tests") - sum(counts.values())
    for name, count in {"passed": passed, **counts}.items():
        yield row(name, count, "tests")
    for case in suite.iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            yield row("failing test", f"{case.get('classname')}::{case.get('name')}", "")
