"""What MLflow's pages show first of a row and of a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trapmid.artifacts import results
from trapmid.tracking.values import PARAM_LENGTH, numbers

HEADLINE = ("aa1", "aa5", "knn_dist", "frechet", "test_accuracy", "trapdoor_success")
"""The scores of a row that MLflow's pages are to show first."""

FIRST = "Main"
"""Their section there; MLflow puts metrics that name no section last."""

STAGES = {
    "evaluators": "evaluator",
    "pretrained": "pretrained",
    "targets": "target",
    "public_priors": "prior",
    "surrogates": "surrogate",
    "guided_priors": "prior",
    "attack_runs": "attack",
}


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


def study_scores(params: Mapping[str, Any], summary: Mapping[str, Any]) -> dict[str, float]:
    """By defence: what the attack that gets most gets, and the accuracy that is left."""
    worst, targets = summary.get("worst", {}), summary.get("targets", {})
    controls = params["gate"]["controls"]
    defenses = sorted(worst, key=lambda name: name.split("@")[0] in controls)  # controls last
    found = {f"worst_aa1.{name}": worst[name].get("aa1") for name in defenses}
    found |= {f"test_accuracy.{name}": row.get("test_accuracy") for name, row in targets.items()}
    return {f"{FIRST}/{name}": value for name, value in numbers(found).items()}


def sectioned(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics, `HEADLINE` first by name and in order: MLflow compares by the first."""
    first = {f"{FIRST}/{name}": metrics[name] for name in HEADLINE if name in metrics}
    return first | {name: value for name, value in metrics.items() if name not in HEADLINE}
