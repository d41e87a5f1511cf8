"""The driver's loop, on books and an executor of its own."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest

from trapmid.engine import driver
from trapmid.engine.bookkeeping import BookkeepingError
from trapmid.engine.commands import Command, Ended

GRAPH = {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}, "e": {"c"}}


class Books:
    """Settles what `settled` says, and runs everything else."""

    def __init__(self, tmp_path, *, exits=None, settled=None, refused=(), graph=GRAPH):
        self.plan, self.upstream = list(graph), graph
        self.tmp_path, self.exits, self.outcomes = tmp_path, exits or {}, settled or {}
        self.refused, self.recorded, self.given_up, self.asked = refused, [], [], []

    def settle(self, name):
        self.asked.append(name)
        if name in self.refused:
            raise BookkeepingError(f"{name} is busy")
        if name in self.outcomes:
            return self.outcomes[name]
        line = ("sh", "-c", f"echo of {name}; exit {self.exits.get(name, 0)}")
        return Command(name, (line,), str(self.tmp_path), {}, str(self.tmp_path / f"{name}.log"))

    def record(self, name):
        if name in self.exits:
            raise AssertionError(f"{name} failed and is recorded")
        self.recorded.append(name)

    def give_up(self, name):
        self.given_up.append(name)


def test_the_driver_loads_no_torch():
    """It only keeps books; a worker even less."""
    code = "import sys, trapmid.engine.session; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def run(books, jobs=2):
    said: list[str] = []
    with ThreadPoolExecutor(jobs) as threads:
        return driver.run(books, threads, lambda: jobs, said.append), said


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_stage_comes_after_its_upstream(tmp_path, jobs):
    books = Books(tmp_path)
    outcome, _ = run(books, jobs)
    assert outcome.counts == {"run": 5}
    assert sorted(books.recorded) == list(GRAPH)
    for name, upstream in GRAPH.items():
        assert all(books.recorded.index(one) < books.recorded.index(name) for one in upstream)
    assert outcome.seconds.keys() == GRAPH.keys()


@pytest.mark.parametrize("graph", [GRAPH, {"a": set(), "b": set(), "c": {"a"}, "d": {"b"}}])
def test_one_job_is_the_order_of_dvc(tmp_path, graph):
    books = Books(tmp_path, graph=graph)
    run(books, jobs=1)
    assert books.recorded == list(graph)


def test_what_is_up_to_date_runs_nothing(tmp_path):
    books = Books(tmp_path, settled={"a": "unchanged", "b": "restored", "c": "unchanged"})
    outcome, said = run(books)
    assert outcome.counts == {"unchanged": 2, "restored": 1, "run": 2}
    assert books.recorded == ["d", "e"] or books.recorded == ["e", "d"]
    assert not any(" a" in line for line in said)


def test_a_failure_stops_only_what_hangs_from_it(tmp_path):
    books = Books(tmp_path, exits={"b": 3})
    outcome, said = run(books)
    assert outcome.left == ["d"]
    assert sorted(books.recorded) == ["a", "c", "e"]
    assert outcome.failed == {"b": f"exit code 3; {tmp_path / 'b.log'}: of b"}
    assert any("failed b" in line for line in said)
    assert books.given_up == ["b"]


def test_a_stage_that_the_books_refuse_fails_alone(tmp_path):
    outcome, _ = run(Books(tmp_path, refused=("c",)))
    assert outcome.failed == {"c": "c is busy"}
    assert outcome.left == ["d", "e"]


class _Lost(Executor):
    """An engine that loses every worker."""

    def submit(self, function, /, *words, **more):
        future: Future[Ended] = Future()
        future.set_exception(RuntimeError("worker\nlost"))
        return future


class _Waiting(Executor):
    """An engine that begins nothing."""

    def __init__(self):
        self.out: list[Future[Ended]] = []

    def submit(self, function, /, *words, **more):
        self.out.append(Future())
        return self.out[-1]


def test_a_lost_worker_is_one_line(tmp_path):
    books = Books(tmp_path)
    outcome = driver.run(books, _Lost(), lambda: 1, lambda line: None)
    assert outcome.failed == {"a": "RuntimeError: worker lost"}
    assert outcome.left == ["b", "c", "d", "e"]
    assert books.given_up == ["a"]


def test_a_wait_for_workers_is_said_each_time_once(tmp_path):
    said: list[str] = []
    there = iter([0, 0, 0, 2, 2, 0])
    with ThreadPoolExecutor(2) as threads:
        outcome = driver.run(Books(tmp_path), threads, lambda: next(there, 0), said.append)
    assert outcome.counts == {"run": 5}
    waits = [index for index, line in enumerate(said) if "no worker is there" in line]
    assert waits[0] == 0 and len(waits) == 2
    assert said[0].endswith("[0/5] no worker is there; a stage waits until one comes")


def test_no_more_commands_are_out_than_there_are_slots(tmp_path):
    """What waits in an engine's queue has lost its outputs already."""
    out, most = 0, 0

    class Counting(ThreadPoolExecutor):
        def submit(self, function, /, *words, **more):
            nonlocal out, most
            out += 1
            most = max(most, out)
            future = super().submit(function, *words, **more)
            future.add_done_callback(lambda _: _back())
            return future

    def _back():
        nonlocal out
        out -= 1

    with Counting(8) as threads:
        driver.run(Books(tmp_path), threads, lambda: 2, lambda line: None)
    assert most == 2


def test_an_interruption_unlocks_what_is_out(tmp_path):
    books, engine = Books(tmp_path, settled={"a": "unchanged"}), _Waiting()

    def say(line):
        if "begin c" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        driver.run(books, engine, lambda: 2, say)
    assert books.asked == ["a", "b", "c"]
    assert books.given_up == ["b", "c"]
    assert [future.cancelled() for future in engine.out] == [True, True]
    assert books.recorded == []


def test_an_engine_without_a_worker_yet_gets_one_command(tmp_path):
    """Workers that Slurm has not started yet count as no slot."""
    books = Books(tmp_path)
    with ThreadPoolExecutor(1) as threads:
        outcome = driver.run(books, threads, lambda: 0, lambda line: None)
    assert outcome.counts == {"run": 5}
