"""What a network starts from: a program is taken as it is, what is frozen must have learnt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trapmid.artifacts.initial import PROGRAM

_LEARNT_ELSEWHERE = ("transfer",)
"""Methods of defences that keep what they start from."""


def problems(content: Mapping[str, Any], place: str, row: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the start of one row, one line each.

    Args:
        content: a params.yaml in which what rows name is there.
        place: of the row, `section.name`.
        row: of a section whose rows have an `arch`.
    """
    if row.get("method") in _LEARNT_ELSEWHERE and row["init"] == "weights/random":
        yield (
            f"{place}.init: weights/random has learnt nothing, and {row['method']} freezes its "
            "first stages; name another classifier or published weights"
        )
    if row["arch"] == PROGRAM and "training" not in row:
        yield f"{place}.arch: {PROGRAM} cannot be trained: no surrogate is one"
    training = content["classifier_training"].get(row.get("training"))
    if not isinstance(training, Mapping):  # another line says so
        return
    if row["arch"] == PROGRAM and training.get("epochs") != 0:
        yield (
            f"{place}.arch: {PROGRAM} cannot be trained: a target takes it as it is, with a "
            "training of 0 epochs (given)"
        )
    learns = training.get("epochs") != 0 and training.get("select") == "last"
    if row.get("teacher") is not None and not learns:
        yield (
            f"{place}.training: {row['training']} must have epochs and select: last, since whoever "
            "learns from a teacher classifies nobody"
        )
