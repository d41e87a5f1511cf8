"""A defence beside its twin without one: a target of the same network and data."""

from __future__ import annotations

from trapmid.config.evaluation import UNDEFENDED
from trapmid.report.findings import Findings
from trapmid.report.words import mean
from trapmid.scoring.machine import kind_of


def slowdown(found: Findings, defense: str) -> float | None:
    """Training time over that without a defence, of one architecture, data and machine.

    On a CPU it is the time of the processor, which a program beside it does not lengthen; a GPU
    works while its process waits, so there it is the time of a clock.

    Returns:
        None: there is no target without a defence, or the machines differ, threads included.
    """
    base, stats = undefended(found, defense), found.inputs.stats["targets"]
    if base is None:
        return None
    own, plain = found.targets[defense], found.targets[base]
    rows = [*own, *plain]
    if len({kind_of(stats[row]) for row in rows}) > 1:
        return None
    key = "cpu_seconds" if stats[rows[0]]["device"] == "cpu" else "seconds"
    times = [mean([float(stats[row][key]) for row in side]) for side in (own, plain)]
    return times[0] / times[1] if times[0] is not None and times[1] else None


def undefended(found: Findings, defense: str) -> str | None:
    """The defence's twin without one: the same architecture and data."""
    _, *other = defense.split("@")
    twin = "@".join([UNDEFENDED, *other])
    return twin if twin in found.targets else None


def attacked(found: Findings, defense: str | None) -> bool:
    """Whether any attack ran on this defence, if there is one."""
    return defense is not None and found.metrics["worst"][defense]["attack"] is not None
