"""A study of real people in a few minutes: targets, priors, attacks, an evaluator; see `lanes`.

The blocks are those of the profile `celeba_mid`, but for what `QUICK` changes. Every training and
every search is first timed for a few steps, and then as long as its share of the seconds allows.
Targets and evaluator start from networks that learnt to tell public people apart.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from gpu import attackers, learners
from gpu.faces import FILE, unpack
from gpu.lanes import Phase, Room, work
from gpu.results import ROOT, Book, Measure, Row, row
from gpu.subjects import Subjects
from trapmid.config import params
from trapmid.profiles.compose import compose

PART = "faces"
SECONDS = 185.0  # for which the shares below were planned, with three lanes
TARGETS = ("none", "trapmid", "none_aug")  # in the order of their value


def measurements(book: Book) -> dict[str, Measure]:
    """One measurement: the lanes, each a process that writes its phases' own rows.

    It is made again while a phase is missing.
    """
    if not all(map(_room(book).has, phases(None))):
        book.forget(f"{PART}/study")
    return {"study": partial(_lanes, book)}


def phases(world: Subjects | None) -> dict[str, Phase]:
    """The study, the most valuable phase first; None: their names, for nobody to make."""
    first = {
        "target-start": Phase((), 35, partial(learners.strangers, world, "target")),
        "gmi-prior": Phase((), 45, partial(attackers.public, world, "gmi-prior", "gmi")),
        "plgmi-start": Phase((), 60, partial(attackers.public, world, "plgmi-start", "plgmi")),
        "none": Phase(("target-start",), 14, partial(learners.target, world, "none")),
        "trapmid": Phase(("target-start",), 60, partial(learners.target, world, "trapmid")),
        "evaluator-start": Phase((), 40, partial(learners.strangers, world, "evaluator")),
        "evaluator": Phase(("evaluator-start",), 40, partial(learners.evaluator, world)),
    }
    second: dict[str, Phase] = {}
    for target in TARGETS:
        if target not in first:
            second[target] = Phase(("target-start",), 14, partial(learners.target, world, target))
        second |= _attacks(world, target)
    return first | second | _attack(world, "plus", "trapmid")


def _attacks(world: Subjects | None, target: str) -> dict[str, Phase]:
    search = Phase(("gmi-prior", target), 12, partial(attackers.attack, world, "gmi", target))
    scores = Phase(
        (f"gmi-{target}", "evaluator"), 2, partial(attackers.score, world, "gmi", target)
    )
    return {
        **_attack(world, "plgmi", target),
        f"gmi-{target}": search,
        f"gmi-{target}-scores": scores,
    }


def _attack(world: Subjects | None, name: str, target: str) -> dict[str, Phase]:
    """PLG-MI or PLG-MI+: the guided prior, the search, the evaluator's verdict."""
    prior, found = f"{name}-prior-{target}", f"{name}-{target}"
    return {
        prior: Phase(("plgmi-start", target), 18, partial(attackers.guided, world, name, target)),
        found: Phase((prior,), 16, partial(attackers.attack, world, name, target)),
        f"{found}-scores": Phase(
            (found, "evaluator"), 2, partial(attackers.score, world, name, target)
        ),
    }


def lane(book: Book) -> None:
    """What one process does."""
    room = _room(book)
    file = room.folder / "faces.pt" if book.toy else FILE
    study: dict[str, Any] = json.loads((room.folder / "study.json").read_text("utf-8"))
    world = Subjects(book, room, study, unpack(file))
    work(book, PART, room, phases(world), max(book.end - time.time(), 0.0) / SECONDS)


def _lanes(book: Book) -> Iterator[Row]:
    """Starts the lanes and waits for them; what they made says how the study went."""
    room, begun = _room(book), time.time()
    room.open()
    study = params.parse(compose("celeba_mid", folder=ROOT / "profiles"))
    (room.folder / "study.json").write_text(json.dumps(study), encoding="utf-8")
    if book.toy:
        from gpu.toy_faces import write  # of no use beside real ones

        write(room.folder / "faces.pt")
    count = 2 if book.toy else 3
    command = [sys.executable, "-m", "gpu", "--lane", "--out", str(book.out)]
    command += ["--until", str(book.end), *(["--toy"] if book.toy else [])]
    lanes = [subprocess.Popen(command, cwd=ROOT, env={**os.environ}) for _ in range(count)]
    codes = [one.wait() for one in lanes]
    yield row("lanes", count, "", codes=codes)
    yield row("wall time", time.time() - begun, "s")
    made = sorted(file.stem for file in room.folder.glob("*.pt"))
    yield row("files", len(made), "", note=" ".join(made))


def _room(book: Book) -> Room:
    return Room(book.kept / PART)
