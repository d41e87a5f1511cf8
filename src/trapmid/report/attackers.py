"""The attacker's side of the report: the worst case, the matrix, and what each attack costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from trapmid.report.inputs import Inputs
from trapmid.report.summary import deviation

Line = tuple[str, ...]

_SURROGATES = "models/surrogates/"


def worst_lines(metrics: Mapping[str, Any]) -> list[Line]:
    """Per defence: AA-1 and AA-5 of the attack that got most, its name, and out of how many."""
    return [
        (
            defense,
            _percent(worst["aa1"]),
            _percent(worst["aa5"]),
            worst["attack"] or "–",
            str(worst["attacks"]),
        )
        for defense, worst in metrics["worst"].items()
    ]


def matrix_lines(metrics: Mapping[str, Any]) -> list[Line]:
    """Per defence AA-1 of every attack, in the order of `metrics["attacks"]`.

    Several seeds show as mean ± population deviation; the worst case is in brackets.
    """
    lines = []
    for defense, worst in metrics["worst"].items():
        cells = []
        for attack, groups in metrics["attacks"].items():
            if defense not in groups:
                cells.append("–")
                continue
            text = _percent(groups[defense]["aa1"])
            values = _values(metrics, attack, defense)
            if len(values) > 1:
                text += f" ± {_percent(deviation(values).population)}"
            cells.append(f"[{text}]" if attack == worst["attack"] else text)
        lines.append((defense, *cells))
    return lines


def cost_lines(inputs: Inputs) -> list[Line]:
    """Per attack: seconds of the search, of its own prior, and of what stands in or votes.

    A mean over the attack's rows. A public prior serves every attack and is not counted; what
    several attacks of one target share is counted in each of them.
    """
    params, stats = inputs.params, inputs.stats
    found: dict[str, list[list[float]]] = {}
    for row, cell in params["cells"].items():
        kind, _, prior = cell["prior"].removeprefix("models/priors/").partition("/")
        guided = kind == "guided"
        helpers = {_surrogate(cell[key]) for key in ("guide", "knowledge")}
        if guided:
            block = params["guided_priors"][prior]
            helpers |= {_surrogate(block[key]) for key in ("guide", "knowledge")}
        seconds = [
            float(stats["cells"][row]["seconds"]),
            float(stats["guided_priors"][prior]["seconds"]) if guided else 0.0,
            math.fsum(float(stats["surrogates"][name]["seconds"]) for name in helpers if name),
        ]
        found.setdefault(cell["attack"], []).append([*seconds, math.fsum(seconds)])
    return [
        (attack, *(f"{math.fsum(column) / len(rows):.1f}" for column in zip(*rows, strict=True)))
        for attack, rows in found.items()
    ]


def count_lines(inputs: Inputs) -> list[Line]:
    """Per cell that counted something, as label-only attacks do: coverage and the counts."""
    return [
        (
            row,
            _percent(scores["coverage"]),
            "; ".join(
                f"{name.replace('_', ' ')} {_count(numbers)}"
                for name, numbers in scores["counts"].items()
            ),
        )
        for row, scores in inputs.cells.items()
        if scores["counts"]
    ]


def stand_in_lines(inputs: Inputs) -> list[Line]:
    """Per cell whose search asked something else than the target: how much of it was left."""
    return [
        (
            row,
            inputs.params["cells"][row]["guide"].removeprefix(_SURROGATES),
            _percent(scores["stand_in"]["test_accuracy"]),
            _percent(scores["stand_in"]["trapdoor_success"]),
            _percent(scores["guide_agreement"]),
            _percent(scores["target_agreement"]),
        )
        for row, scores in inputs.cells.items()
        if scores["stand_in"] is not None
    ]


def _values(metrics: Mapping[str, Any], attack: str, defense: str) -> Sequence[float]:
    values = metrics["spread"]["attacks"][attack][defense]["aa1"]["values"]
    return [value for value in values.values() if value is not None]


def _surrogate(path: str) -> str | None:
    """The row of `surrogates` that a folder or file belongs to."""
    return path.removeprefix(_SURROGATES).split("/")[0] if path.startswith(_SURROGATES) else None


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _count(numbers: Mapping[str, float]) -> str:
    """The sum where rows add up, and the largest of them."""
    return f"{numbers['sum']:,.0f} (largest {numbers['max']:,.0f})"
