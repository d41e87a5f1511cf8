"""Which attack brings most of people to light, image by image, where judges have a voice.

The evaluator's favourite need not be the one that shows a person: see `report.worst`. Here the
scored images decide, so that what a picture or a table of people shows is that of the first screen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trapmid.config.evaluation import FLOOR
from trapmid.report.averages import mean_of
from trapmid.report.groups import attack_run_label
from trapmid.report.worst import greatest

Runs = Mapping[str, Sequence[str]]
"""By attack on one defence, its rows in params.yaml, the lowest seed first."""


def runs_on(params: Mapping[str, Any], defense: str) -> dict[str, list[str]]:
    """By attack on a defence its rows, the lowest seed first; the floor is no attack."""
    found: dict[str, list[str]] = {}
    for row, block in sorted(params["attack_runs"].items(), key=lambda one: int(one[1]["seed"])):
        if block["attack"] != FLOOR and attack_run_label(params, block) == defense:
            found.setdefault(block["attack"], []).append(row)
    return found


def most_revealing(
    runs: Runs, scored: Mapping[str, Mapping[str, Any]], strongest: str | None
) -> str | None:
    """The attack of whose images all judges agree on most; None: they agree on none of any.

    One on a part of the people ranks only where all attacks do.

    Args:
        runs: the attacks among which it is.
        scored: by row, the content of its file under data/scored.
        strongest: by the evaluator; it comes first among equals.
    """
    rates = {attack: mean_of(agreed(scored[row]) for row in rows) for attack, rows in runs.items()}
    best = greatest(rates, partial(runs, scored), strongest)
    return best if best is not None and rates[best] else None


def partial(runs: Runs, scored: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The attacks on a part of the people that others attacked."""
    people = {attack: len(scored[rows[0]]["labels"].unique()) for attack, rows in runs.items()}
    return [attack for attack, some in people.items() if some < max(people.values())]


def agreed(scored: Mapping[str, Any]) -> float | None:
    """The share of an attack run's images on which all judges agree; None: none has a voice."""
    found = scored.get("judged", {}).get("agreed")
    return None if found is None or not len(found) else float(found.float().mean())
