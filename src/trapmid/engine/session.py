"""`trapmid run`: brings a study up to date on this machine's cores, a Dask cluster, or Slurm."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from trapmid.artifacts import locks
from trapmid.engine import cluster, commands, driver, warm
from trapmid.engine.bookkeeping import LOGS, BookkeepingError, Books
from trapmid.engine.cluster import Engine
from trapmid.engine.commands import Command, Crew, Ended

_LOCK = Path(".dvc/tmp/trapmid-run.lock")
_THREADS = "OMP_NUM_THREADS"
_MOST = 4  # commands at a time unless more are asked for: each may take a gigabyte or three


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to run, and where."""

    targets: tuple[str, ...] = ()  # stages, with all upstream; none: the whole study
    jobs: int = 1  # commands at a time on this machine
    cold: bool = False  # on this machine every stage loads torch for itself
    threads: int | None = None  # of a command; null: see `environment`
    scheduler: str | None = None  # address of a Dask scheduler
    slurm: Path | None = None  # file, see `cluster.slurm`
    resources: Mapping[str, float] = field(default_factory=dict)  # that a command takes of a worker


def run(root: Path, plan: Plan) -> int:
    """Runs a study; prints a line for every stage that had something to do. The exit code.

    Raises:
        ValueError: the engine cannot be reached, or DVC's files cannot be read.
        BlockingIOError: another `trapmid run` is at work in `root`.
    """
    begun = time.monotonic()
    with locks.only_one(root / _LOCK, "trapmid run"):
        given = environment(os.environ, plan)  # before an engine starts: it changes os.environ
        try:
            books = Books(root, given, plan.targets)
        except BookkeepingError as error:
            raise ValueError(f"dvc: {error}") from None
        try:
            with _engine(plan) as (engine, work):
                if engine.link:
                    _say(f"dashboard: {engine.link}")
                elif _here(plan):
                    _say(_how(plan, given))
                outcome = driver.run(books, engine.executor, engine.slots, _say, work)
        except KeyboardInterrupt:
            print("trapmid run: stopped; the next run goes on from here", file=sys.stderr)
            return 130
        finally:
            books.close()
    _say(_summary(outcome, time.monotonic() - begun))
    return 1 if outcome.failed else 0


def shares(
    jobs: int | str, threads: int | None, device: str, own: Mapping[str, str]
) -> tuple[int, int | None]:
    """Stages at a time on this machine, and threads of each; None: all cores, or what is set.

    "auto" is one job for a core, or one for the GPU. The networks of a laptop's study are too small
    for several cores: two trainings side by side, of one thread each, do a quarter more than one
    after the other with two. And one thread gives the same digits whatever the number of cores.

    Args:
        jobs: how many are asked for, or "auto".
        threads: likewise; None: not asked for.
        device: type of the one that stages use.
        own: the environment; a number of threads that the user has set stays.
    """
    if jobs == "auto":
        jobs = min(_cores(), _MOST) if device == "cpu" else 1
        if threads is None and device == "cpu" and _THREADS not in own:
            threads = 1
    made = environment(own, Plan(jobs=int(jobs), threads=threads))
    return int(jobs), int(made[_THREADS]) if made.get(_THREADS, "").isdecimal() else None


def environment(own: Mapping[str, str], plan: Plan) -> dict[str, str]:
    """The environment of every command: this process's, with its `python` and a share of the cores.

    What the user has set stays. Elsewhere than on this machine, and for one command at a time,
    nothing is set: torch takes all cores. Here `python` is the one that runs this, as for somebody
    who activated its environment.
    """
    made = dict(own)
    if _here(plan):
        beside = [str(Path(sys.executable).parent), own.get("PATH", os.defpath)]
        made["PATH"] = os.pathsep.join(beside)
    if plan.threads is not None:
        made[_THREADS] = str(plan.threads)
    elif plan.jobs > 1 and _here(plan):
        made.setdefault(_THREADS, str(max(1, _cores() // plan.jobs)))
    return made


def _cores() -> int:
    """Those that this process may use: a scheduler, or `taskset`, leaves it some of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _here(plan: Plan) -> bool:
    return plan.scheduler is None and plan.slurm is None


@contextmanager
def _engine(plan: Plan) -> Iterator[tuple[Engine, Callable[[Command], Ended]]]:
    """An engine, and what it is to call with a command."""
    if plan.scheduler is not None:
        with cluster.at(plan.scheduler, plan.resources) as engine:
            yield engine, commands.execute
    elif plan.slurm is not None:
        with cluster.slurm(plan.slurm, plan.resources) as engine:
            yield engine, commands.execute
    else:
        crew = Crew()
        with warm.Server() as server, ThreadPoolExecutor(plan.jobs) as threads:
            begin = commands.begin if plan.cold else server.begin
            try:
                engine = Engine(threads, lambda: plan.jobs, "")
                yield engine, functools.partial(commands.execute, begin=begin, crew=crew)
            except BaseException:
                crew.stop()
                raise


def _how(plan: Plan, given: Mapping[str, str]) -> str:
    stages = "1 stage" if plan.jobs == 1 else f"{plan.jobs} stages"
    threads = f"OMP_NUM_THREADS={given[_THREADS]}" if _THREADS in given else "all cores"
    return f"{stages} at a time, {threads}; what they print: {LOGS}/STAGE.log"


def _say(line: str) -> None:
    print(line, flush=True)


def _summary(outcome: driver.Outcome, seconds: float) -> str:
    said = [f"{n} {what}" for what, n in outcome.counts.items()]
    said += [f"{len(outcome.left)} not run, for they hang from a failed one"] * bool(outcome.left)
    slowest = sorted(outcome.seconds.items(), key=lambda item: -item[1])[:3]
    text = f"{', '.join(said) or 'no stage'}; {seconds:.0f} s"
    if slowest:
        text += f"; slowest: {', '.join(f'{name} {took:.0f} s' for name, took in slowest)}"
    return text
