"""The driver: settles stage after stage, and hands what must run to an executor."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Protocol

from trapmid.engine.bookkeeping import BookkeepingError, Settled
from trapmid.engine.commands import Command, Ended, execute, last_lines

_LOOK_AGAIN = 2.0  # seconds: workers come and go


class Ledger(Protocol):
    """What the driver asks of `bookkeeping.Books`."""

    plan: list[str]
    upstream: dict[str, set[str]]

    def settle(self, name: str) -> Settled | Command: ...

    def record(self, name: str) -> None: ...

    def give_up(self, name: str) -> None: ...


@dataclass
class Outcome:
    """What became of every stage."""

    counts: Counter[str] = field(default_factory=Counter)  # `Settled`, run, failed
    failed: dict[str, str] = field(default_factory=dict)  # stage -> why, one line
    left: list[str] = field(default_factory=list)  # hang from a stage that failed
    seconds: dict[str, float] = field(default_factory=dict)  # of the commands


def run(
    books: Ledger,
    executor: Executor,
    slots: Callable[[], int],
    say: Callable[[str], None],
    work: Callable[[Command], Ended] = execute,
) -> Outcome:
    """Brings every stage up to date; one that fails stops only what hangs from it.

    Args:
        books: DVC's.
        executor: where commands run; a command that it has begun is not begun again.
        slots: how many commands it runs at a time, now.
        say: gets a line for every stage that runs, is restored or recorded, or fails.
        work: what the executor calls with a command.
    """
    return _Run(books, executor, slots, say, work).whole()


class _Run:
    def __init__(
        self,
        books: Ledger,
        executor: Executor,
        slots: Callable[[], int],
        say: Callable[[str], None],
        work: Callable[[Command], Ended],
    ) -> None:
        self.books, self.executor, self.slots, self.say = books, executor, slots, say
        self.work = work
        self.place = {name: index for index, name in enumerate(books.plan)}
        self.sorter = TopologicalSorter(books.upstream)
        self.ready: list[str] = []
        self.flying: dict[Future[Ended], Command] = {}
        self.outcome = Outcome()
        self.alone = False  # no worker was there when it was last asked

    def whole(self) -> Outcome:
        self.sorter.prepare()
        try:
            while self._begin() or self.flying:
                done, _ = wait(self.flying, timeout=_LOOK_AGAIN, return_when=FIRST_COMPLETED)
                for future in done:
                    self._end(future, self.flying.pop(future))
        finally:
            for future, command in self.flying.items():
                future.cancel()
                self.books.give_up(command.stage)
        if self.outcome.failed:
            hanging = _downstream(self.books.upstream, set(self.outcome.failed))
            self.outcome.left = [name for name in self.books.plan if name in hanging]
        return self.outcome

    def _begin(self) -> bool:
        """Settles what is ready as far as there are free slots; whether anything moved."""
        moved = False
        while len(self.flying) < self._places() and (name := self._next()) is not None:
            moved = True
            try:
                settled = self.books.settle(name)
            except BookkeepingError as error:
                self._failed(name, str(error))
                continue
            if isinstance(settled, Command):
                self.flying[self.executor.submit(self.work, settled)] = settled
                self.say(f"{self._count()} begin {name}")
            else:
                if settled != "unchanged":
                    self.say(f"{self._count()} {settled} {name}")
                self._settled(name, settled)
        return moved

    def _places(self) -> int:
        """How many commands may be out; one where no worker has come yet, and that is said."""
        slots = self.slots()
        if slots == 0 and not self.alone:
            self.say(f"{self._count()} no worker is there; a stage waits until one comes")
        self.alone = slots == 0
        return max(1, slots)

    def _next(self) -> str | None:
        """Of the stages whose upstream is settled, the first of `dvc repro`'s order."""
        self.ready = sorted([*self.ready, *self.sorter.get_ready()], key=self.place.__getitem__)
        return self.ready.pop(0) if self.ready else None

    def _end(self, future: Future[Ended], command: Command) -> None:
        name = command.stage
        try:
            ended = future.result()
        except Exception as error:  # what an engine raises for a lost worker is its own
            self.books.give_up(name)
            self._failed(name, f"{type(error).__name__}: {' '.join(str(error).split())}")
            return
        if ended.code:
            self.books.give_up(name)
            tail = last_lines(command.log, 1)
            self._failed(name, f"exit code {ended.code}; {command.log}: {''.join(tail)}")
            return
        try:
            self.books.record(name)
        except BookkeepingError as error:
            self._failed(name, str(error))
            return
        self.outcome.seconds[name] = ended.seconds
        self.say(f"{self._count()} end   {name} ({ended.seconds:.1f} s)")
        self._settled(name, "run")

    def _settled(self, name: str, how: str) -> None:
        self.outcome.counts[how] += 1
        self.sorter.done(name)

    def _failed(self, name: str, why: str) -> None:
        self.outcome.counts["failed"] += 1
        self.outcome.failed[name] = why
        self.say(f"{self._count()} failed {name}: {why}")

    def _count(self) -> str:
        done = sum(self.outcome.counts.values())
        return f"{time.strftime('%H:%M:%S')} [{done}/{len(self.place)}]"


def _downstream(upstream: Mapping[str, set[str]], names: set[str]) -> set[str]:
    """Whatever hangs from `names`, without them."""
    hanging: set[str] = set()
    for name in TopologicalSorter(upstream).static_order():
        if upstream.get(name, set()) & (hanging | names):
            hanging.add(name)
    return hanging - names
