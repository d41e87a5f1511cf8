"""What MLflow's pages show first of a row and of a study."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from trapmid.artifacts import results
from trapmid.config.evaluation import FLOOR
from trapmid.tracking.values import PARAM_LENGTH, numbers

HEADLINE = {
    "aa1": "aa1",
    "judges.agree": "agree",
    "judges.verifier.accepted": "verifier",
    "judges.identity.aa1": "identity",
    "aa5": "aa5",
    "knn_dist": "knn_dist",
    "frechet": "frechet",
    "test_accuracy": "test_accuracy",
    "trapdoor_success": "trapdoor_success",
}
"""The scores of a row that MLflow's pages are to show first, and what they are called there.

A chart's title has room for a dozen letters. An end of an interval makes no chart of use.
"""

FIRST = "Main"
"""Their section there; MLflow puts metrics that name no section last."""

TRAITS = "Traits"
"""The section of what a judge reads of single attributes and groups of parameters."""

AGREE = f"{FIRST}/{HEADLINE['judges.agree']}"
"""What the share on which all judges agree is called in a run."""

STAGES = {
    "evaluators": "evaluator",
    "pretrained": "pretrained",
    "targets": "target",
    "public_priors": "prior",
    "surrogates": "surrogate",
    "guided_priors": "prior",
    "trained_judges": "judge training",
    "attack_runs": "attack",
    "judges": "judge",
}
"""Sections of params.yaml whose rows have a run, and what a row of them is."""

_OF_TRAITS = ("judges.identity.attributes.", "judges.identity.groups.")
_WITHIN = re.compile(r"(?<![^.])intervals\.")
_SIZE = re.compile(r"(?<![^.])intervals\..*\.n$")


def headline(
    block: Mapping[str, Any], section: str, row: str, names: Mapping[str, str]
) -> dict[str, str]:
    """What a reader compares rows by, and every row has.

    MLflow's compare page draws the first three parameters that differ, capitals first, and calls
    one that a run lacks "unknown". Two rows differ in three of these, or their blocks are alike.
    """
    kind = STAGES[section]
    prior = f"{section.removesuffix('_priors')}/{row}" if kind == "prior" else None
    if "prior" in block:
        prior = str(block["prior"]).removeprefix("models/priors/")
    found = {
        "Attack": names.get("attack"),
        "Defense": names.get("defense"),
        "Queried model": names.get("queried_model"),
        "Kind": kind,
        "Prior": prior,
        "Row": f"{kind}/{row}",
        "Seed": names.get("seed"),
        "Target": row if kind == "target" else block.get("target"),
        "Technique": names.get("method"),
    }
    return {name: "-" if value is None else str(value) for name, value in found.items()}


def study_headline(params: Mapping[str, Any]) -> dict[str, str]:
    """The same for whole studies."""
    return {
        "Attacks": _listed(row["attack"] for row in params["attack_runs"].values()),
        "Defenses": _listed(row["defense"] for row in params["targets"].values()),
        "Profile": str(params["profile"]),
        "Rows": str(sum(len(params[section]) for section in results.TRAINED)),
        "Seeds": _listed(params["seeds"]),
    }


def _listed(values: Iterable[Any]) -> str:
    return " ".join(dict.fromkeys(map(str, values)))[:PARAM_LENGTH]


def study_scores(
    params: Mapping[str, Any], summary: Mapping[str, Any], agreed: Mapping[str, float]
) -> dict[str, float]:
    """By defence: what the attack that gets most gets, and the accuracy that is left.

    Args:
        params: params.yaml.
        summary: the content of reports/metrics.json.
        agreed: see `agreement`.
    """
    worst, targets = summary.get("worst", {}), summary.get("targets", {})
    controls = params["gate"]["controls"]
    defenses = sorted(worst, key=lambda name: name.split("@")[0] in controls)  # controls last
    found: dict[str, Any] = {}
    for name in defenses:
        ends = worst[name].get("intervals", {}).get("aa1", {})
        found[f"worst_aa1.{name}"] = worst[name].get("aa1")
        found |= {f"worst_aa1.{name}.{end}": ends.get(end) for end in ("low", "high")}
    found |= {f"worst_agree.{name}": share for name, share in agreed.items()}
    found |= {f"test_accuracy.{name}": row.get("test_accuracy") for name, row in targets.items()}
    return {f"{FIRST}/{name}": value for name, value in numbers(found).items()}


def agreement(
    params: Mapping[str, Any], shares: Mapping[str, float], partial: Collection[str] = ()
) -> dict[str, float]:
    """By defence: of its attacks, the highest share of images on which all judges agree.

    It is the mean over seeds. Another attack than that of the highest AA-1 may have it.

    Args:
        params: params.yaml.
        shares: by row of `attack_runs`; one that no other judge saw has none.
        partial: rows that attacked a part of the people. As in the report, their attacks count
            only where all attacks on the defence are such.
    """
    cells: dict[tuple[str, str], list[float]] = {}
    for row, share in shares.items():
        block = params["attack_runs"][row]
        if block["attack"] != FLOOR:
            cells.setdefault(_cell(params, block), []).append(share)
    of_some = {_cell(params, params["attack_runs"][row]) for row in partial}
    whole = {defense for defense, attack in cells if (defense, attack) not in of_some}
    found: dict[str, float] = {}
    for cell, values in cells.items():
        if cell not in of_some or cell[0] not in whole:
            found[cell[0]] = max(found.get(cell[0], 0.0), math.fsum(values) / len(values))
    return found


def _cell(params: Mapping[str, Any], block: Mapping[str, Any]) -> tuple[str, str]:
    """The defence and the attack of a row of `attack_runs`."""
    return _defense(params, block), str(block["attack"])


def _defense(params: Mapping[str, Any], attack_run: Mapping[str, Any]) -> str:
    """The defence, and the data and architecture where the study has several of them."""
    target = params["targets"][attack_run["target"]]
    first = next(iter(params["targets"].values()))
    setting = {"data": attack_run["data"], "arch": target["arch"]}
    other = [str(value) for key, value in setting.items() if value != first[key]]
    return "@".join([str(target["defense"]), *other])


def with_intervals(scores: Mapping[str, float]) -> dict[str, float]:
    """The ends of an interval beside its number: `intervals.aa1.low` becomes `aa1.low`.

    How many people or images it is over is left to the file of scores.
    """
    kept = {name: value for name, value in scores.items() if not _SIZE.search(name)}
    return {_WITHIN.sub("", name): value for name, value in kept.items()}


def sectioned(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics, `HEADLINE` first by name and in order: MLflow compares by the first.

    What a judge reads of single traits has a section of its own, which can be folded: it is two
    thirds of an attack's numbers.
    """
    shown = {name: short for name, short in HEADLINE.items() if name in metrics}
    first = {f"{FIRST}/{short}": metrics[name] for name, short in shown.items()}
    left = {name: value for name, value in metrics.items() if name not in HEADLINE}
    return first | {
        f"{TRAITS}/{name}" if name.startswith(_OF_TRAITS) else name: value
        for name, value in left.items()
    }
