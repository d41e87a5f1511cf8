"""The attacker's side of the report: the worst case, the matrix, and what each attack costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from trapmid.report.inputs import Inputs
from trapmid.report.summary import cell_label, deviation, families

Line = tuple[str, ...]

_SURROGATES = "models/surrogates/"


def worst_lines(metrics: Mapping[str, Any]) -> list[Line]:
    """Per defence: what the attack got that got most, its name and how many seeds it has.

    Last, how many attacks ran: a worst case of few attacks says little. A star marks an attack that
    failed a check.
    """
    lines: list[Line] = []
    for defense, worst in metrics["worst"].items():
        attack, ran = worst["attack"], str(worst["attacks"])
        if worst["failed"]:
            ran += f" ({len(worst['failed'])} failed)"
        if attack is None:
            lines.append((defense, *["–"] * 5, ran))
            continue
        scores = metrics["attacks"][attack][defense]
        lines.append(
            (
                defense,
                _over_seeds(metrics, attack, defense),
                _percent(worst["aa5"]),
                f"{_whole(scores['n_success'])} / {_whole(scores['n'])}",
                attack + "*" * (attack in worst["failed"]),
                str(len(_values(metrics, attack, defense))),
                ran,
            )
        )
    return lines


def matrix_lines(metrics: Mapping[str, Any]) -> list[Line]:
    """Per defence AA-1 of every attack, in the order of `metrics["attacks"]`.

    Several seeds show as mean ± population deviation; the worst case is in brackets, and a star
    marks an attack that failed a check.
    """
    lines = []
    for defense, worst in metrics["worst"].items():
        cells = []
        for attack, groups in metrics["attacks"].items():
            if defense not in groups:
                cells.append("–")
                continue
            text = _over_seeds(metrics, attack, defense) + "*" * (attack in worst["failed"])
            cells.append(f"[{text}]" if attack == worst["attack"] else text)
        lines.append((defense, *cells))
    return lines


def cost_lines(inputs: Inputs) -> list[Line]:
    """Per attack: seconds of the search, of its own prior, and of what stands in or votes.

    A mean over the attack's rows. A public prior serves every attack and is not counted, nor are
    signatures, which nobody times; what several attacks of one target share counts in each of them.
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
    """Per attack and defence that counted something, as label-only attacks do.

    Coverage, images left out by design, all images asked about, and of every count the mean of one
    reconstruction and the largest; means over seeds.
    """
    lines: list[Line] = []
    for (attack, defense), rows in _grouped(inputs).items():
        scores = [inputs.cells[row] for row in rows]
        if not scores[0].counts:
            continue
        asked = [inputs.stats["cells"][row].get("queries") for row in rows]
        numbers = {name: [one.counts[name] for one in scores] for name in scores[0].counts}
        counted = (
            f"{name.replace('_', ' ')} {_mean([one.mean for one in found]):,.1f}"
            f" (at most {max(one.max for one in found):,.0f})"
            for name, found in numbers.items()
        )
        coverage = _percent(_mean([one.coverage for one in scores]))
        left_out = _whole(_mean([float(one.left_out) for one in scores]))
        queries = _whole(_mean(asked))
        lines.append((attack, defense, coverage, left_out, queries, "; ".join(counted)))
    return lines


def stand_in_lines(inputs: Inputs) -> list[Line]:
    """Per attack and defence whose search asked something else than the target: what was left.

    The row of `surrogates` that was asked, without its seed; means over seeds.
    """
    lines: list[Line] = []
    for (attack, defense), rows in _grouped(inputs).items():
        scores = [inputs.cells[row] for row in rows]
        left = [one.stand_in for one in scores if one.stand_in is not None]
        if not left:
            continue
        cells = inputs.params["cells"]
        guides = [str(_surrogate(cells[row]["guide"])) for row in rows]
        names = families(inputs.params["surrogates"], guides)
        columns: tuple[list[float | None], ...] = (
            [one.test_accuracy for one in left],
            [one.trapdoor_success for one in left],
            [one.guide_agreement for one in scores if one.stand_in is not None],
            [one.target_agreement for one in scores if one.stand_in is not None],
        )
        shown = (_percent(_mean(column)) for column in columns)
        lines.append((attack, defense, ", ".join(names), *shown))
    return lines


def _grouped(inputs: Inputs) -> dict[tuple[str, str], list[str]]:
    """The cells that are seeds of one: (attack, defence) -> rows."""
    found: dict[tuple[str, str], list[str]] = {}
    for row, block in inputs.params["cells"].items():
        name = (block["attack"], cell_label(inputs.params, block))
        found.setdefault(name, []).append(row)
    return found


def _over_seeds(metrics: Mapping[str, Any], attack: str, defense: str) -> str:
    """AA-1 in percent; ± the population deviation where there are several seeds."""
    text = _percent(metrics["attacks"][attack][defense]["aa1"])
    values = _values(metrics, attack, defense)
    return f"{text} ± {_percent(deviation(values).population)}" if len(values) > 1 else text


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return math.fsum(there) / len(there) if there else None


def _values(metrics: Mapping[str, Any], attack: str, defense: str) -> Sequence[float]:
    values = metrics["spread"]["attacks"][attack][defense]["aa1"]["values"]
    return [value for value in values.values() if value is not None]


def _surrogate(path: str) -> str | None:
    """The row of `surrogates` that a folder or file belongs to."""
    return path.removeprefix(_SURROGATES).split("/")[0] if path.startswith(_SURROGATES) else None


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _whole(value: float | None) -> str:
    """A count; a mean over seeds that is none keeps one decimal."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
