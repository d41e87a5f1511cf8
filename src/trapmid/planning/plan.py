"""The plan of a study: time and memory of each kind of stage, and in all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from trapmid.planning.throughputs import Throughputs
from trapmid.planning.units import Stage
from trapmid.planning.work import stages

PROCESS_MB = 600.0  # a process that has imported torch
_BOOKS = {True: 0.4, False: 1.0}  # seconds for each stage of a laptop's study: `trapmid run`, DVC
"""Of `trapmid run`: what short stages of the default study took by the clock beyond their
processor's time, on two slow cores with AVX2: 0.8 to 1.3 s, twice what they are where faces take
`_DRAWING`."""
_DRAWING = 0.0057  # seconds of a face where the following were taken; elsewhere in proportion

# Seconds of what is no network's work, on an AMD EPYC with AVX2 (docs/performance.md): of a stage,
# and of one of its pictures, beside the start, the books and the questions; of `evaluate_judge`,
# and of the theory of an image with a trigger, the processor's time on the slow one of two machines
# there, beside other work: 0.5 s, and 2.5 s of 168 images.
_FIXED = {
    "code": (3.5, 0.0),
    "make_raw": (0.5, _DRAWING),
    "prepare_data": (2.0, 0.0010),
    "validate_data": (2.0, 0.0005),
    "evaluate_evaluator": (0.5, 0.0),
    "evaluate_target": (1.0, 0.0066),
    "evaluate_judge": (0.2, 0.0),
    "evaluate": (0.5, 0.0),
    "report": (5.0, 0.5),
    "track": (4.0, 0.0),
}
_ALONE = frozenset({"code", "make_raw", "prepare_data", "report", "track"})
"""All else waits for one of these, or they for all else; their own rows may run side by side."""


class Line(NamedTuple):
    """All stages of one kind."""

    name: str
    rows: int
    seconds: float
    longest: float  # seconds of one row
    megabytes: float  # the most of one process
    untimed: tuple[str, ...]
    macs: float | None = None  # multiply-adds, as far as they were counted; None: none were


class Plan(NamedTuple):
    """What a study will take."""

    profile: str
    lines: tuple[Line, ...]
    jobs: int | None = None  # stages at a time of `trapmid run`; None: `dvc repro`

    @property
    def clock(self) -> float:
        """Seconds on the wall: jobs are idle only while one stage is all that can run.

        At least what the longest row of every kind takes, one after the other.
        """
        jobs = self.jobs or 1
        chain = sum(line.longest for line in self.lines)
        alone = sum(
            max(line.longest, line.seconds / jobs) for line in self.lines if line.name in _ALONE
        )
        beside = sum(line.seconds for line in self.lines if line.name not in _ALONE)
        return max(chain, alone + beside / jobs)

    @property
    def seconds(self) -> float:
        """One stage after the other."""
        return sum(line.seconds for line in self.lines)

    @property
    def megabytes(self) -> float:
        """Of the stage that needs the most."""
        return max(line.megabytes for line in self.lines)

    @property
    def macs(self) -> float | None:
        """Multiply-adds of all stages; None: nobody counted any."""
        return _sum(line.macs for line in self.lines)

    @property
    def untimed(self) -> list[str]:
        """What nobody measured: the plan is a floor then."""
        return sorted({what for line in self.lines for what in line.untimed})


def plan(study: Mapping[str, Any], known: Throughputs, jobs: int | None = None) -> Plan:
    """Counts the work of params.yaml and multiplies it with what is known of its units.

    Args:
        study: params.yaml.
        known: throughputs, of stages of `jobs` at a time.
        jobs: of `trapmid run`; None: `dvc repro`.
    """
    of_kind: dict[str, list[Line]] = {}
    for stage in stages(study):
        of_kind.setdefault(stage.name, []).append(of_stage(stage, known, jobs))
    return Plan(str(study["profile"]), tuple(map(_together, of_kind.values())), jobs)


def of_stage(stage: Stage, known: Throughputs, jobs: int | None = None) -> Line:
    """One stage."""
    fixed, picture = _FIXED.get(stage.name, (0.0, 0.0))
    slower = known.drawing() / _DRAWING
    books = _BOOKS[jobs is not None] * slower
    seconds = known.start() + books + slower * (fixed + picture * stage.pictures)
    megabytes = own = PROCESS_MB + stage.megabytes
    untimed = [stage.untimed] if stage.untimed else []
    counted: list[float | None] = []
    for unit, count in stage.work:
        cost = known.cost(unit)
        if cost is None:
            untimed.append(" ".join(filter(None, (unit.kind, unit.method, unit.arch))))
            continue
        seconds += count * cost.seconds
        megabytes = max(megabytes, own + cost.megabytes)
        counted.append(None if cost.macs is None else count * cost.macs)
    return Line(stage.name, 1, seconds, seconds, megabytes, tuple(untimed), _sum(counted))


def _sum(counted: Iterable[float | None]) -> float | None:
    """Of what was counted; None: nothing was."""
    there = [one for one in counted if one is not None]
    return sum(there) if there else None


def _together(lines: Iterable[Line]) -> Line:
    every = list(lines)
    return Line(
        every[0].name,
        len(every),
        sum(line.seconds for line in every),
        max(line.longest for line in every),
        max(line.megabytes for line in every),
        tuple(what for line in every for what in line.untimed),
        _sum(line.macs for line in every),
    )


def table(found: Plan, *, hours: bool) -> list[str]:
    """The plan to read; `hours`: of a GPU, where starts and scores count for nothing.

    Thousands of millions of multiply-adds (GMAC) have a column where they were counted.
    """
    unit, per = ("h", 3600.0) if hours else ("min", 60.0)
    counted = found.macs is not None
    lines = [f"{'stage':<22}{'rows':>6}{unit:>10}{'MB':>8}" + f"{'GMAC':>16}" * counted]
    for line in found.lines:
        if line.seconds or line.untimed:
            amounts = f"{line.seconds / per:>10.2f}{line.megabytes:>8.0f}"
            macs = _gmac(line.macs) * counted
            lines.append(f"{line.name:<22}{line.rows:>6}{amounts}{macs}")
    rows = sum(line.rows for line in found.lines)
    amounts = f"{found.seconds / per:>10.2f}{found.megabytes:>8.0f}{_gmac(found.macs) * counted}"
    lines.append(f"{'in all':<22}{rows:>6}{amounts}")
    if (jobs := found.jobs or 1) > 1:
        text = f"by the clock, {jobs} at a time"
        lines.append(f"{text:<28}{found.clock / per:>10.2f}{jobs * found.megabytes:>8.0f}")
    if found.untimed:
        lines.append(f"a floor: nobody timed {', '.join(found.untimed)}")
    return lines


def _gmac(macs: float | None) -> str:
    return f"{'-' if macs is None else f'{macs / 1e9:,.1f}':>16}"
