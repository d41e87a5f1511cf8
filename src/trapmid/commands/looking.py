"""At the machine, at how fast it is, and at the runs."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from trapmid.commands import refuse


def doctor(_: argparse.Namespace) -> int:
    from trapmid.doctor import examination

    findings = examination.examine(Path())
    print(*(finding.line() for finding in findings), sep="\n")
    return 1 if any(finding.is_fatal for finding in findings) else 0


def bench(options: argparse.Namespace) -> int:
    folder = Path("benchmarks").absolute()
    if not (folder / "bench/run.py").is_file():
        return min(refuse(["no benchmarks/bench here; run this in a clone"], "trapmid bench"), 1)
    sys.path.insert(0, str(folder))  # no part of the package: the procedures of others are there
    run = importlib.import_module("bench.run")
    run.run(run.Asked(options.quick, options.only, options.out, options.seconds, options.beside))
    return 0


def ui(options: argparse.Namespace) -> int:
    from trapmid import ui

    ui.show(Path(), options.port, browse=not options.no_browser)
    return 0
