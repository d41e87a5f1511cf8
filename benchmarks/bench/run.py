"""One run: the rates of the machine, then every path that was asked for."""

from __future__ import annotations

import fnmatch
import json
import time
from datetime import UTC, datetime
from pathlib import Path as File
from typing import NamedTuple

import torch
from gpu.results import RESULTS
from threadpoolctl import threadpool_limits

from bench import limit, rows, timing, worlds
from bench.paths import labels, priors, running, scores, searches, styles, surrogates, training
from bench.rows import Row
from bench.timing import Path, Plan

KINDS = (training, priors, searches, scores, surrogates, labels, styles, running)
"""The most important first: what there is no time for is left out from behind."""


class Asked(NamedTuple):
    """What to measure, and how long."""

    quick: bool = False  # toy sizes: does everything work?
    only: str = "*"  # of the paths' names, as a shell's pattern or a part of them
    out: File | None = None  # None: benchmarks/results; quick: nowhere
    seconds: float = 540.0  # of all; paths that come later are left out
    beside: bool = False  # other work goes on: one thread, seconds of the processor


def run(asked: Asked) -> list[Row]:
    """Measures, prints and writes; the file has every row as soon as it is there.

    Raises:
        ValueError: no path is called so.
    """
    if asked.beside:
        torch.set_num_threads(1)
        threadpool_limits(1)  # SciPy's, too: waiting threads would count as work of the reference
    now = time.process_time if asked.beside else time.perf_counter
    paths = every(quick=asked.quick, light=asked.beside)
    chosen = [path for path in paths if _matches(path.name, asked.only)]
    if not chosen:
        names = "; ".join(path.name for path in paths)
        raise ValueError(f"--only: no path is called {asked.only!r}; there are {names}")
    end = time.monotonic() + asked.seconds
    rates = limit.rates(now, quick=asked.quick)
    shared = rows.machine(rates, beside=asked.beside)
    begun = f"{shared['processor']}, {shared['instructions']}, threads: {shared['threads']}"
    print(begun, flush=True)
    repeats, seconds = (1, 0.0) if asked.quick else (3, 5.0) if asked.beside else (5, 10.0)
    plan = Plan(repeats, seconds, now)
    found: list[Row] = []
    for path in chosen:
        if time.monotonic() > end:
            print(f"{path.name}: no time left")
            continue
        found.append(rows.row(path, timing.measure(path, plan), rates, shared))
        print(rows.line(found[-1]), flush=True)
        _write(found, asked)
    print(f"\n{rows.markdown(found)}")
    return found


def every(*, quick: bool, light: bool = False) -> list[Path]:
    """Every path, made but not measured."""
    names = ("laptop", "paper")
    sizes = {name: worlds.world(name, quick=quick, light=light) for name in names}
    return [path for kind in KINDS for path in kind.paths(sizes)]


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatch(name, pattern) or pattern in name


def _write(found: list[Row], asked: Asked) -> None:
    file = asked.out
    if file is None:
        if asked.quick:
            return
        kind = found[0]["instructions"].lower()
        beside = "-beside" if asked.beside else ""
        file = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-cpu-{kind}{beside}.json"
    file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
