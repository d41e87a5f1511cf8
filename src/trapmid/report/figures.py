"""Which charts the report has, and of which scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from trapmid.artifacts.results import History
from trapmid.config.evaluation import FLOOR
from trapmid.report import charts, learning_curves, names, scatter, trait_chart, worst
from trapmid.report.canvas import wrapped
from trapmid.report.charts import Point
from trapmid.report.groups import attack_run_label, families, family_in_words, in_words
from trapmid.report.headline import accuracy_interval, interval_of
from trapmid.report.inputs import Inputs
from trapmid.report.leakage import leakages, undefended
from trapmid.report.marks import Marks


def draw_all(inputs: Inputs, metrics: Mapping[str, Any]) -> dict[str, bytes]:
    """Every chart of the report, by path under reports/."""
    marks = Marks.of(inputs.params, inputs.attack_runs)
    points, references = _points(inputs, marks, metrics), metrics["references"]
    strongest = worst.strongest(metrics)
    rates = {
        attack: {name: scores["aa1"] for name, scores in groups.items()}
        for attack, groups in metrics["attacks"].items()
    }
    overviews = {
        "figures/attacks.png": charts.attack_bars(
            points, references["floor"]["aa1"], references["ceiling"]["aa1"]
        ),
        "figures/trade_off.png": charts.trade_off(worst_points(points, strongest)),
        "figures/matrix.png": charts.matrix(rates, strongest, marks),
    }
    overviews |= scatter.robustness(metrics, marks)
    return _trainings(inputs) | overviews | _signatures(inputs) | _attributes(inputs, metrics)


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
            in_words(inputs.params, attack_run),
            inputs.signature_scores[attack_run],
            verdict.threshold,
        )
        for attack_run, verdict in inputs.detections().items()
    }


def _attributes(inputs: Inputs, metrics: Mapping[str, Any]) -> dict[str, bytes]:
    found = leakages(inputs, metrics)
    charts = {}
    for defense, one in found.items():
        base = undefended(found, defense)
        charts[attributes_path(defense)] = trait_chart.draw(
            f"{names.attack(one.attack)}{one.mark} on\n{wrapped(names.defense(defense))}",
            [one.overall, *one.traits],
            [] if base is None else [base.overall, *base.traits],
        )
    return charts


def attributes_path(defense: str) -> str:
    """Where the chart of attribute leakage of a defence is, under reports/."""
    return f"figures/attributes/{defense}.png"


def _trainings(inputs: Inputs) -> dict[str, bytes]:
    steps = {"public_priors": "step", "guided_priors": "step", "attack_runs": "step"}
    return {
        f"figures/training/{section}/{family}.png": learning_curves.draw(
            family_in_words(inputs.params, section, family, next(iter(rows.values()))),
            {seed: histories[row] for seed, row in rows.items()},
            steps.get(section, "epoch"),
        )
        for section, histories in inputs.histories.items()
        for family, rows in families(inputs.params[section], histories).items()
    }


def _points(inputs: Inputs, marks: Marks, metrics: Mapping[str, Any]) -> list[Point]:
    points = []
    for row, block in inputs.params["attack_runs"].items():
        if block["attack"] == FLOOR:
            continue
        attack, defense = block["attack"], attack_run_label(inputs.params, block)
        ends = interval_of(metrics, attack, defense)
        across = accuracy_interval(metrics, defense)
        points.append(
            Point(
                attack=names.attack(attack),
                defense=names.defense(defense),
                accuracy=inputs.targets[block["target"]].test_accuracy,
                aa1=inputs.attack_runs[row].aa1,
                mark=marks.behind(attack, defense),
                interval=None if ends is None else (ends.low, ends.high),
                across=None if across is None else (across.low, across.high),
            )
        )
    return points


def worst_points(points: Sequence[Point], strongest: Mapping[str, str | None]) -> list[Point]:
    """The points of each defence's worst case.

    Args:
        points: of all attacks.
        strongest: the codes of defences, and of the attack that got most out of each.
    """
    pairs = {(names.attack(a), names.defense(d)) for d, a in strongest.items() if a is not None}
    return [point for point in points if (point.attack, point.defense) in pairs]
