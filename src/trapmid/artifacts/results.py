"""Where the stages leave their results, and how a result file is read.

Rows come from params.yaml, never from a folder listing: a file left by a deleted row is not seen.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from trapmid.config import params

T = TypeVar("T")

TRAINED = (
    "evaluators",
    "pretrained",
    "targets",
    "public_priors",
    "surrogates",
    "guided_priors",
    "trained_judges",
    "attack_runs",
)
"""Sections whose rows leave curves, times and samples."""


class ResultError(ValueError):
    """A result file is missing or wrong; the message is one line that names it."""


@dataclass(frozen=True)
class History:
    """A training curve: one list per metric, as long as `steps`; NaN where a step lacks it."""

    steps: list[float]
    metrics: dict[str, list[float]]


def typed(cls: type[T], content: Mapping[str, Any], file: Path) -> T:
    """A `cls` (a dataclass) made of `content`, which was read from `file`.

    Raises:
        ResultError: a key is missing, unknown or of another type; one line names file and key.
    """
    try:
        return params.build(cls, content, str(file))
    except params.ParamsError as error:
        raise ResultError(str(error).replace(f"{file}.", f"{file}: ", 1)) from None


def scores_path(root: Path, section: str, row: str) -> Path:
    """The scores of an evaluator, a target or an attack run."""
    return root / "reports" / "scores" / section / f"{row}.json"


def training_folder(root: Path, section: str, row: str) -> Path:
    """The curve, the times and the samples of a row of `TRAINED`."""
    return root / "reports" / "training" / section / row


def samples_folder(root: Path, section: str, row: str) -> Path:
    """The drawn samples of a row of `TRAINED`: triggers, poisoned images, what a prior makes."""
    return root / "reports" / "figures" / "samples" / section / row


def grid_path(root: Path, attack_run: str) -> Path:
    """The picture of an attack run: private images beside the reconstructions."""
    return root / "reports" / "figures" / "attack_runs" / f"{attack_run}.png"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, or the one object in a list.

    Files that DVC knows as metrics are such lists, because it shows no number of a list.

    Raises:
        ResultError: the file is missing, is not JSON, holds NaN, or is neither.
    """
    try:
        content = json.loads(
            path.read_text(encoding="utf-8"), parse_constant=_refuse, parse_float=_finite
        )
    except FileNotFoundError:
        raise ResultError(f"{path}: no such file; `dvc repro` makes it") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise ResultError(f"{path}: not strict JSON ({error})") from None
    if isinstance(content, list) and len(content) == 1:
        content = content[0]
    if not isinstance(content, dict):
        raise ResultError(f"{path}: must hold an object, holds {type(content).__name__}")
    return content


def read_history(path: Path) -> History:
    """A history.csv: the column `step` first, then the metrics; an empty field is NaN.

    Raises:
        ResultError: the file is missing, has no `step` column, or holds something but numbers.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.reader(stream))
    except FileNotFoundError:
        raise ResultError(f"{path}: no such file; `dvc repro` makes it") from None
    if not rows or not rows[0] or rows[0][0] != "step":
        raise ResultError(f"{path}: line 1: the first column must be `step`")
    names = rows[0]
    table: list[list[float]] = []
    for number, fields in enumerate(rows[1:], start=2):
        if len(fields) != len(names):
            raise ResultError(f"{path}: line {number}: {len(fields)} fields, not {len(names)}")
        try:
            table.append([float(field) if field else math.nan for field in fields])
        except ValueError as error:
            raise ResultError(f"{path}: line {number}: {error}") from None
    columns = [list(column) for column in zip(*table, strict=True)] or [[] for _ in names]
    return History(columns[0], dict(zip(names[1:], columns[1:], strict=True)))


def _finite(number: str) -> float:
    """Python reads 1e999 as infinity."""
    value = float(number)
    return value if math.isfinite(value) else _refuse(number)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")
