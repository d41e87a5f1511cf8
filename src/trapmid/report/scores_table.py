"""All scores as one tidy table: a line per number.

Columns: row (of params.yaml; empty for a mean over seeds), section, attack, defence, seed, metric,
value, low, high and interval (the ends of its interval and how it was computed, where it has one;
the range of two seeds is none of 95 %), computed_on (device, instruction
sets and torch of the row's evaluation; empty for a mean), failed_checks (names of the checks that
the row failed, of a mean those that any seed failed, with a space between; what failed of the
target, the evaluator or a judge of an attack stands in their own lines). Rates are fractions. What
could not be measured has no line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from trapmid.report.doubts import of_rows
from trapmid.report.groups import Groups
from trapmid.report.inputs import Inputs
from trapmid.scoring.scores import RowScores

_NOT_SCORES = {
    *("row", "seed", "attack", "defense", "target", "protocol"),
    *("checks", "failed_checks", "computed_on"),
}


class Number(NamedTuple):
    """A line of the table."""

    row: str
    section: str
    attack: str
    defence: str
    seed: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    interval: str = ""
    computed_on: str = ""
    failed_checks: str = ""


def tidy(inputs: Inputs, metrics: Mapping[str, Any]) -> str:
    """The table as CSV: every row's numbers, then the means over seeds.

    Args:
        inputs: the study.
        metrics: the content of reports/metrics.json.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(Number._fields)
    for number in (*_of_rows(inputs), *_means(inputs, metrics)):
        writer.writerow(["" if value is None else value for value in number])
    return stream.getvalue()


def _of_rows(inputs: Inputs) -> Iterator[Number]:
    rows: list[RowScores] = [
        *inputs.evaluators.values(),
        *inputs.targets.values(),
        *inputs.judges.values(),
        *inputs.attack_runs.values(),
    ]
    for scores in rows:
        seed = inputs.params[scores.section][scores.row]["seed"]
        attack, defence = (getattr(scores, name, "") for name in ("attack", "defense"))
        head = (scores.row, scores.section, attack, defence, str(seed))
        tail = (str(scores.computed_on or ""), " ".join(of_rows([scores])))
        for found in _bounded(asdict(scores)):
            yield Number(*head, *found, *tail)


def _means(inputs: Inputs, metrics: Mapping[str, Any]) -> Iterator[Number]:
    rows = Groups.of(inputs.params)
    for defence, scores in metrics["targets"].items():
        failed = " ".join(of_rows(inputs.targets[row] for row in rows.targets[defence]))
        for found in _bounded(scores):
            yield Number("", "targets", "", defence, "mean", *found, failed_checks=failed)
    for attack, groups in metrics["attacks"].items():
        for defence, scores in groups.items():
            own = (inputs.attack_runs[row] for row in rows.attacks[attack][defence])
            failed = " ".join(of_rows(own))
            for found in _bounded(scores):
                head = ("", "attack_runs", attack, defence, "mean")
                yield Number(*head, *found, failed_checks=failed)


def _bounded(
    scores: Mapping[str, Any],
) -> Iterator[tuple[str, float, float | None, float | None, str]]:
    """Every number with the ends of its interval, as far as it has one."""
    intervals = dict(_intervals(scores))
    for metric, value in _numbers(scores):
        ends = intervals.get(metric) or {}
        yield metric, value, ends.get("low"), ends.get("high"), str(ends.get("kind", ""))


def _intervals(
    scores: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every interval of nested scores, by the path of its number."""
    for name, ends in scores.get("intervals", {}).items():
        yield f"{prefix}{name}", ends
    for name, value in _entries(scores):
        if isinstance(value, Mapping) and name != "intervals":
            yield from _intervals(value, f"{prefix}{name}.")


def _numbers(scores: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every number of nested scores, by its path with dots."""
    for name, value in _entries(scores):
        if name == "intervals" or (not prefix and name.split(".")[0] in _NOT_SCORES):
            continue
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{name}", value


def _entries(scores: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The entries; of a list, each with a name of its own: `adversarial.linf_0.0314`."""
    for name, value in scores.items():
        if isinstance(value, list | tuple):
            for place, item in enumerate(value):
                yield f"{name}.{_telling(item, place)}", item
        else:
            yield name, value


def _telling(item: Any, place: int) -> str:
    """What a part of a list is called: by its norm and radius, else by its place (a class)."""
    if isinstance(item, Mapping) and {"norm", "radius"} <= item.keys():
        return f"{item['norm']}_{item['radius']:g}"
    return str(place)
