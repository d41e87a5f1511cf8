"""Whether a Trap-MID target of the paper's profile learns as the official code's does.

    python benchmarks/learning_curve.py reports/training/targets/trapmid-0/history.csv ...

The clauses are read off a public log of the official code with the paper's constants (VGG16, 50
epochs of 27,018 images of CelebA): trapdoor success was 8 % in epoch 5, 82 % in epoch 7 and 99.4 %
in epoch 10, and test accuracy 80.0 % in epoch 30 and 82.0 % at best. Epochs count from 0 as there;
`step` of history.csv counts from 1. In single epochs the log's test accuracy falls to a few
percent, so the last clause takes a median. With `val_fraction: 0.1` a target sees a tenth fewer
images, and may miss that clause: docs/deviations.md, "Without a validation split".

Exit code 1: a clause fails, or a file has not what it needs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from trapmid.artifacts import results
from trapmid.artifacts.results import ResultError

QUIET, RISEN = 4, 18  # before the one the trapdoor is unknown, by the other it is learnt
LATE = range(45, 50)
SUCCESS, ACCURACY = "trapdoor_success", "test_accuracy"


class Clause(NamedTuple):
    """One statement on a curve."""

    text: str
    holds: bool
    found: str


def clauses(success: Sequence[float], accuracy: Sequence[float]) -> list[Clause]:
    """What a training of 50 epochs must hold.

    Args:
        success: trapdoor success by epoch, in [0, 1].
        accuracy: test accuracy by epoch, in [0, 1].
    """
    quiet = max(success[:QUIET])
    first = next((epoch for epoch, value in enumerate(success) if value > 0.99), None)
    late = statistics.median(accuracy[epoch] for epoch in LATE)
    return [
        Clause(
            f"trapdoor success is under 1 % before epoch {QUIET}",
            quiet < 0.01,
            f"{100 * quiet:.2f} % at most",
        ),
        Clause(
            f"trapdoor success is over 99 % by epoch {RISEN}",
            first is not None and first <= RISEN,
            "never" if first is None else f"first in epoch {first}",
        ),
        Clause(
            f"test accuracy is 80 to 82 % in epochs {LATE[0]} to {LATE[-1]}",
            0.80 <= late <= 0.82,
            f"{100 * late:.2f} %, the median",
        ),
    ]


def read(file: Path) -> tuple[list[float], list[float]]:
    """Trapdoor success and test accuracy by epoch.

    Raises:
        ResultError: the file is no history of a whole training with a trapdoor.
    """
    history = results.read_history(file)
    if missing := [name for name in (SUCCESS, ACCURACY) if name not in history.metrics]:
        raise ResultError(f"{file}: no column {missing[0]}; a target with a trapdoor has it")
    whole = [float(step) for step in range(1, LATE[-1] + 2)]
    if history.steps[: len(whole)] != whole:
        found = f"{len(history.steps)} lines"
        raise ResultError(f"{file}: {found}, not the epochs 1 to {len(whole)} one by one")
    return history.metrics[SUCCESS], history.metrics[ACCURACY]


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Learning curves of Trap-MID's targets.")
    parser.add_argument("files", nargs="+", type=Path, help="history.csv of a target")
    failed = False
    for file in parser.parse_args(words).files:
        try:
            found = clauses(*read(file))
        except ResultError as error:
            print(error, file=sys.stderr)
            failed = True
            continue
        for one in found:
            print(f"{'pass' if one.holds else 'fail'}  {file}: {one.text}: {one.found}")
            failed |= not one.holds
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
