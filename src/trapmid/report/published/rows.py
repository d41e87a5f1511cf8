"""Which rows of params.yaml answer a published number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from trapmid.config.evaluation import FLOOR
from trapmid.report.published.tables import Number

DRAWN = "drawn faces"

OF_TARGETS = ("acc", "training_minutes")
"""Metrics of a target alone."""

FIELDS = {
    "aa1": "aa1",
    "aa5": "aa5",
    "knn_dist": "knn_dist",
    "eval_dist": "knn_dist",  # what the high-resolution track calls it
    "fid": "frechet",
}
"""Fields of `AttackScores` by the name of a published metric."""

FACENET = "facenet_dist"
"""A published distance that a verifier measures, not the evaluator."""

PRDC = {
    "improved_precision": "precision",
    "improved_recall": "recall",
    "density": "density",
    "coverage": "coverage",
}
"""Fields of `fidelity.prdc_ppa` by the name of a published metric."""

LARGE = "celeba_hd"
"""The private images whose numbers a study has in PPA's definitions."""


class Place(NamedTuple):
    """What rows share that are compared with one published number."""

    data: str  # row of `data`
    architecture: str


def answering(params: Mapping[str, Any], number: Number) -> list[str]:
    """Rows of attack_runs, or of targets, of the number's attack and defence."""
    targets = params["targets"]
    if number.metric in OF_TARGETS:
        return [row for row, block in targets.items() if block["defense"] == number.defence]
    return [
        row
        for row, block in params["attack_runs"].items()
        if block["attack"] == number.attack
        and targets[block["target"]]["defense"] == number.defence
    ]


def place_of(params: Mapping[str, Any], number: Number, row: str) -> Place:
    """Where a row that answers the number stands."""
    if number.metric in OF_TARGETS:
        block = params["targets"][row]
        return Place(block["data"], block["arch"])
    block = params["attack_runs"][row]
    return Place(block["data"], params["targets"][block["target"]]["arch"])


def suits(params: Mapping[str, Any], number: Number, place: Place) -> bool:
    """Whether network and public images are the number's."""
    public = number.metric in OF_TARGETS or origin(params, place.data, "public") == number.public
    return place.architecture == number.architecture and public


def origin(params: Mapping[str, Any], data: str, side: str) -> str:
    """Who made the `private` or `public` images of a row of `data`, whatever their size."""
    source = params["data"][data][side]
    for name, block in params["raw"].items():
        if Path(source["path"]).is_relative_to(f"data/raw/{name}"):
            return DRAWN if block["maker"] == "synthetic" else str(block["maker"])
    return str(source["reader"]).removesuffix("_hd")  # larger pictures of the same people


def needed(params: Mapping[str, Any], numbers: Iterable[Number]) -> list[str]:
    """Rows of attack_runs that answer the numbers in their own setting, and the floor beside them.

    Of a number of one target the lowest seed is enough, any other takes all seeds. Without random
    latents, of which one row is enough, a study counts as invalid. A row whose data nobody has is
    taken for one that answers, so that the check of the rows names it. Empty: nothing answers.
    """
    runs = params["attack_runs"]
    found: list[str] = []
    for number in filter(_is_scored, numbers):
        rows = [
            row
            for row in answering(params, number)
            if not _has_data(params, row) or suits(params, number, place_of(params, number, row))
        ]
        first = min((runs[row]["seed"] for row in rows), default=None)
        found += [row for row in rows if number.target != "one" or runs[row]["seed"] == first]
    floors = [row for row, block in runs.items() if block["attack"] == FLOOR]
    return list(dict.fromkeys([*floors[:1], *found])) if found else []


def _has_data(params: Mapping[str, Any], row: str) -> bool:
    known = [*params["data"]]  # no mapping: what a row of a wrong profile has may be a list
    return params["attack_runs"][row]["data"] in known


def _is_scored(number: Number) -> bool:
    """Whether a study has a score of that name of an attack."""
    of_ppa = number.metric in PRDC and number.private == LARGE
    return of_ppa or number.metric in (*FIELDS, "initial_iterations")
