"""Phases in the order of their value, with what they need, once, and only while there is time."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import torch
from gpu.lanes import Phase, Room, work
from gpu.results import Book, Row, row


class Study:
    """Phases that write down that they were made."""

    def __init__(self, folder: Path, *, end: float = 100.0) -> None:
        device = torch.device("cpu")
        self.book = Book(folder / "out", toy=True, device=device, code="x", end=time.time() + end)
        self.room = Room(folder / "room")
        self.made: list[str] = []

    def phase(self, name: str, *needs: str, seconds: float = 1.0, broken: bool = False) -> Phase:
        def make(given: float) -> Iterable[Row]:
            self.made.append(name)
            if broken:
                raise RuntimeError(f"{name} is broken")
            self.room.save(name, {"given": given})
            yield row("made", 1, "")

        return Phase(needs, seconds, make)

    def run(self, phases: dict[str, Phase], share: float = 1.0) -> list[str]:
        self.made.clear()
        self.room.open()
        work(self.book, "study", self.room, phases, share)
        return list(self.made)


def test_the_most_valuable_phase_that_has_what_it_needs_comes_first(tmp_path: Path) -> None:
    study = Study(tmp_path)
    phases = {
        "attack": study.phase("attack", "prior", "target"),
        "prior": study.phase("prior"),
        "target": study.phase("target", "start"),
        "start": study.phase("start"),
    }
    assert study.run(phases) == ["prior", "start", "target", "attack"]
    rows = {one["name"] for one in study.book.rows()}
    assert {f"study/{name}: made" for name in phases} <= rows


def test_a_second_call_makes_only_what_is_missing(tmp_path: Path) -> None:
    study = Study(tmp_path)
    phases = {"one": study.phase("one"), "two": study.phase("two", "one")}
    study.run(phases)
    study.room.file("two").unlink()
    assert study.run(phases) == ["two"]


def test_what_needs_a_failed_phase_is_left_out_and_the_rest_is_made(tmp_path: Path) -> None:
    study = Study(tmp_path)
    phases = {
        "broken": study.phase("broken", broken=True),
        "after": study.phase("after", "broken"),
        "last": study.phase("last", "after"),
        "other": study.phase("other"),
    }
    begun = time.time()
    assert study.run(phases) == ["broken", "other"]
    assert time.time() - begun < 10  # nobody waited for what cannot come
    (failed,) = [one for one in study.book.rows() if one.get("failed")]
    assert failed["note"] == "RuntimeError: broken is broken"
    assert study.run(phases) == ["broken"]  # tried again


def test_a_phase_without_time_for_it_is_not_begun(tmp_path: Path) -> None:
    study = Study(tmp_path, end=24.0)  # of which 4 are the margin
    phases = {
        "long": study.phase("long", seconds=100.0),  # with 20 seconds: a fifth of its share
        "behind": study.phase("behind", "long"),
        "short": study.phase("short", seconds=30.0),  # two thirds
    }
    assert study.run(phases) == ["short"]
    given = float(study.room.load("short")["given"])
    assert 15 < given <= 20
    assert study.run({"half": study.phase("half", seconds=8.0)}, share=0.5) == ["half"]
    assert float(study.room.load("half")["given"]) == 4.0


def test_two_lanes_never_take_one_phase(tmp_path: Path) -> None:
    room = Room(tmp_path)
    assert room.take("one") and not room.take("one")
    assert room.taken("one") and not room.has("one")
    room.open()
    assert room.take("one")
