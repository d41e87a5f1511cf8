"""What was measured, as lines of a file."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path as File
from typing import Any

import torch
from gpu.results import device_name

from bench.limit import Rates
from bench.timing import Path, Times, spread
from trapmid.runtime import onednn_level

Row = dict[str, Any]
KEYS = ("name", "ours_s", "reference_s", "ratio", "limit_share", "device", "date")
"""Every row has these; `reference_s` and `ratio` are null without a reference, `limit_share`
without a count of operations or bytes."""


def machine(rates: Rates, *, beside: bool) -> Row:
    """What the rows of one run share.

    Args:
        beside: other work ran beside it: one thread, seconds of the processor.
    """
    return {
        "device": device_name(torch.device("cpu")),
        "processor": processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "onednn": onednn_level(),
        "threads": torch.get_num_threads(),
        "clock": "processor, one thread, beside other work" if beside else "wall",
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "matrix_gflops": {name: _short(rate / 1e9) for name, rate in rates.flops.items()},
        "copy_gbytes": _short(rates.bytes / 1e9),
    }


def row(path: Path, times: Times, rates: Rates, shared: Row) -> Row:
    """One path; medians of seconds, and how far the repeats were apart."""
    ours = statistics.median(times.ours)
    reference = statistics.median(times.reference) if times.reference else None
    flops = path.flops() if path.flops is not None else 0.0
    least = rates.least(flops, path.bytes, path.precision)
    return {
        "name": path.name,
        "ours_s": _short(ours),
        "reference_s": None if reference is None else _short(reference),
        "ratio": None if reference is None else _short(reference / ours),
        "limit_share": _short(least / ours) if least else None,
        **shared,
        "unit": path.unit,
        "repeats": len(times.ours),
        "spread": {
            "ours": _short(spread(times.ours)),
            "reference": _short(spread(times.reference)),
        },
        "gflop": _short(flops / 1e9) if flops else None,
        "precision": path.precision,
        "note": path.note,
    }


def line(one: Row) -> str:
    """A row to read."""
    parts = [f"{one['name']:<40} {one['ours_s']:>10.4g} s a {one['unit']}"]
    if one["ratio"] is not None:
        parts.append(f"published {one['reference_s']:.4g} s, {one['ratio']:.3g} x")
    if one["limit_share"] is not None:
        parts.append(f"{100 * one['limit_share']:.0f} % of the limit")
    return "; ".join(parts)


def markdown(found: Sequence[Row]) -> str:
    """The table of docs/performance.md."""
    lines = [
        "| path | of | ours | published | ratio | of the limit |",
        "|---|---|---|---|---|---|",
    ]
    for one in found:
        ratio = "" if one["ratio"] is None else f"{one['ratio']:.3g} x"
        reference = "" if one["reference_s"] is None else _seconds(one["reference_s"])
        share = "" if one["limit_share"] is None else f"{100 * one['limit_share']:.0f} %"
        cells = [one["name"], one["unit"], _seconds(one["ours_s"]), reference, ratio, share]
        lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |"))
    return "\n".join(lines)


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 0.1 else f"{1000 * value:.3g} ms"


def processor() -> str:
    """What its maker calls it; on other systems than Linux, its kind."""
    info = File("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{names[0] if names else platform.machine()}, {cores} cores"


def _short(value: float) -> float:
    return float(f"{value:.4g}")
