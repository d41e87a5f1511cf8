"""Which charts the report has, and of which scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from trapmid.artifacts.results import History
from trapmid.report import charts, learning_curves
from trapmid.report.charts import Point
from trapmid.report.groups import FLOOR, attack_run_label, families
from trapmid.report.inputs import Inputs
from trapmid.report.marks import Marks

_SINGLE = 5  # attacks with a panel each of what protection costs; of more, the worst case alone


def draw_all(inputs: Inputs, metrics: Mapping[str, Any]) -> dict[str, bytes]:
    """Every chart of the report, by path under reports/."""
    marks = Marks.of(inputs.params, inputs.attack_runs)
    points, references = _points(inputs, marks), metrics["references"]
    strongest = {name: worst["attack"] for name, worst in metrics["worst"].items()}
    failed = {name: worst["failed"] for name, worst in metrics["worst"].items()}
    rates = {
        attack: {name: scores["aa1"] for name, scores in groups.items()}
        for attack, groups in metrics["attacks"].items()
    }
    overviews = {
        "figures/attacks.png": charts.attack_bars(
            points, references["floor"]["aa1"], references["ceiling"]["aa1"]
        ),
        "figures/trade_off.png": charts.trade_off(_worst_first(points, strongest)),
        "figures/matrix.png": charts.matrix(rates, strongest, failed, marks),
    }
    return _trainings(inputs) | overviews | _signatures(inputs)


def curves(inputs: Inputs) -> dict[str, bytes]:
    """The test accuracy of every target as a table, by path under reports/.

    `dvc plots` reads whole folders, and warns of every file there that has no such column.
    """
    return {
        f"figures/curves/{row}.csv": _table(history).encode()
        for row, history in inputs.histories["targets"].items()
    }


def _table(history: History) -> str:
    pairs = zip(history.steps, history.metrics["test_accuracy"], strict=True)
    lines = [f"{step:g},{value:g}\n" for step, value in pairs if math.isfinite(value)]
    return "".join(["step,test_accuracy\n", *lines])


def _signatures(inputs: Inputs) -> dict[str, bytes]:
    return {
        f"figures/signatures/{attack_run}.png": charts.signatures(
            attack_run, inputs.signature_scores[attack_run], verdict.threshold
        )
        for attack_run, verdict in inputs.detections().items()
    }


def _trainings(inputs: Inputs) -> dict[str, bytes]:
    steps = {"public_priors": "step", "guided_priors": "step", "attack_runs": "step"}
    return {
        f"figures/training/{section}/{family}.png": learning_curves.draw(
            family,
            {seed: histories[row] for seed, row in rows.items()},
            steps.get(section, "epoch"),
        )
        for section, histories in inputs.histories.items()
        for family, rows in families(inputs.params[section], histories).items()
    }


def _points(inputs: Inputs, marks: Marks) -> list[Point]:
    points = []
    for row, block in inputs.params["attack_runs"].items():
        if block["attack"] == FLOOR:
            continue
        attack, defense = block["attack"], attack_run_label(inputs.params, block)
        points.append(
            Point(
                attack=attack,
                defense=defense,
                accuracy=inputs.targets[block["target"]].test_accuracy,
                aa1=inputs.attack_runs[row].aa1,
                mark=marks.dagger(attack, defense),
            )
        )
    return points


def _worst_first(points: Sequence[Point], strongest: Mapping[str, str | None]) -> list[Point]:
    """The points of each defence's worst case, as an attack of that name, before all others."""
    attacks = {point.attack for point in points}
    if len(attacks) < 2:
        return list(points)
    worst = [
        replace(point, attack="worst case")
        for point in points
        if point.attack == strongest[point.defense]
    ]
    return worst if len(attacks) > _SINGLE else [*worst, *points]
