"""Ours and the reference in turn, so that a busy moment of the machine meets both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gpu.clock import Now


class Clocked(NamedTuple):
    """What a function returns that knows which part of it counts."""

    seconds: float
    result: object


Action = Callable[[Now], object]
"""Gets the clock; its result, or `Clocked`: seconds of a part of it."""


@dataclass(frozen=True, kw_only=True)
class Path:
    """A hot path: what a study does, and what the released code does instead."""

    name: str
    ours: Action
    reference: Action | None  # None: there is no other procedure than ours
    units: int = 1  # steps, images, ...: what a call makes; seconds are of one
    unit: str
    flops: Callable[[], float] | None = None  # of one unit; None: not counted
    bytes: float = 0.0  # that one unit must read and write
    precision: str = "fp32"  # in which the operations are
    heavy: bool = False  # seconds a call: no call warms up
    once: bool = False  # half a minute a call: it is measured once
    note: str = ""


class Plan(NamedTuple):
    """How long to measure."""

    repeats: int  # at most
    seconds: float  # of one path; it is measured twice at least, unless once is enough
    now: Now = time.perf_counter


class Times(NamedTuple):
    """Seconds of one unit, each time that it was measured."""

    ours: Sequence[float]
    reference: Sequence[float]  # empty: there is none


def measure(path: Path, plan: Plan) -> Times:
    """Both in turn, after one call of each that warms up; not where one call is all."""
    actions = [path.ours] if path.reference is None else [path.ours, path.reference]
    times: list[list[float]] = [[] for _ in actions]
    if plan.repeats > 1 and not path.heavy and not path.once:
        for action in actions:
            action(plan.now)
    end = time.perf_counter() + plan.seconds
    while len(times[0]) < plan.repeats:
        for action, found in zip(actions, times, strict=True):
            found.append(seconds_of(action, plan.now) / path.units)
        if path.once or (len(times[0]) >= 2 and time.perf_counter() > end):
            break
    return Times(times[0], times[1] if len(times) > 1 else [])


def seconds_of(action: Action, now: Now) -> float:
    """Of one call, or of the part of it that counts."""
    begun = now()
    done = action(now)
    return done.seconds if isinstance(done, Clocked) else now() - begun


def spread(times: Sequence[float]) -> float:
    """The distance of the quartiles as a share of the median; of two times, their distance."""
    if len(times) < 2:
        return 0.0
    low, _, high = statistics.quantiles(times, n=4, method="inclusive")
    return (high - low) / statistics.median(times)
