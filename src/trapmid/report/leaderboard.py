"""One entry per attack run for a leaderboard, in the spirit of RobustBench (Croce et al., 2021).

An entry has the claim of the paper, our measurement, the protocol, and the digests of everything
that the attack got, so that two entries can be compared and one can be repeated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trapmid.artifacts import checkpoints
from trapmid.artifacts.lineage import file_digest
from trapmid.config.evaluation import FLOOR
from trapmid.report import doubts, names
from trapmid.report.inputs import Inputs
from trapmid.report.judged import at
from trapmid.scoring.scores import AttackScores, TargetScores

FOLDER = "leaderboard"
_NO_SCORE = {"inception_weights", "batch_size", "grid_identities"}
"""Parameters of the evaluation on which no score depends."""


def digests(root: Path, attack_run: str) -> dict[str, Any]:
    """What the images of an attack run came from, and the digest of their file.

    Args:
        root: the folder of params.yaml.
        attack_run: its row.
    """
    file = root / f"data/reconstructions/{attack_run}.pt"
    lineage = checkpoints.load(file)["lineage"]
    return {
        "private_people": lineage["people"],
        "target": lineage["target"],
        **lineage["sources"],
        "reconstructions": file_digest(file),
    }


def entries(
    inputs: Inputs, found: Mapping[str, Mapping[str, Any]], checks: Mapping[str, bool]
) -> dict[str, bytes]:
    """JSON by path under reports/; the floor attacks nothing and has none.

    Args:
        inputs: the study.
        found: digests by attack run.
        checks: the study's, of reports/metrics.json.
    """
    return {
        f"{FOLDER}/{row}.json": _json(_entry(inputs, row, found[row], checks))
        for row, block in inputs.params["attack_runs"].items()
        if block["attack"] != FLOOR
    }


def _entry(
    inputs: Inputs, row: str, found: Mapping[str, Any], checks: Mapping[str, bool]
) -> dict[str, Any]:
    scores, block = inputs.attack_runs[row], inputs.params["attack_runs"][row]
    failed = doubts.of_run(inputs, checks, row)
    return {
        "row": row,
        "attack": _method(block["attack"], names.ATTACKS),
        "defence": _method(scores.defense, names.DEFENSES),
        "claims": _claims(inputs, block["attack"], scores.defense),
        "measurement": _measurement(inputs, row),
        "protocol": _protocol(inputs, row),
        "digests": {**found, "parameters": _parameters_digest(inputs.params, row)},
        "checks": dict(scores.checks),
        "failed_checks": failed,
        "unreliable": bool(failed),
    }


def _method(code: str, known: Mapping[str, names.Name]) -> dict[str, str]:
    name = known.get(code, names.Name(code.replace("_", " ")))
    return {"code": code, "name": name.full, "gloss": name.gloss}


def _claims(inputs: Inputs, attack: str, defense: str) -> list[dict[str, Any]]:
    """What the paper prints of the pair, a table and setting each; rates are fractions."""
    numbers = inputs.published.numbers if inputs.published else ()
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in numbers:
        if (one.attack, one.defence) != (attack, defense):
            continue
        place = (one.table, one.row, one.public, one.architecture, one.target)
        claim = found.setdefault(
            place,
            {
                "source": f"Trap-MID (NeurIPS 2024), table {one.table}",
                "public": one.public,
                "target": one.architecture,
                "of_targets": one.target,
            },
        )
        claim[one.metric] = round(one.amount, 6)
        claim[f"{one.metric}_deviation"] = one.spread and round(one.spread, 6)
    return list(found.values())


def _measurement(inputs: Inputs, row: str) -> dict[str, Any]:
    scores, stats = inputs.attack_runs[row], inputs.stats["attack_runs"][row]
    target = inputs.targets[scores.target]
    wanted = ("aa1", "aa5", "knn_dist", "frechet", "n_success", "n", "coverage", "left_out")
    return {
        **{name: getattr(scores, name) for name in wanted},
        "intervals": _intervals(scores, target),
        "judges": _judged(scores),
        "test_accuracy": target.test_accuracy,
        "trapdoor_success": target.trapdoor_success,
        "queries": stats.get("queries"),
        "seconds": stats["seconds"],
        "device": stats["device"],
    }


_BOUNDED = {
    "aa1": "aa1",
    "aa5": "aa5",
    "judges.agree": "judges.agree",
    "judges.verifier.accepted": "judges.verifier_accepts",
    "judges.identity.aa1": "judges.nearest_by_parameters",
    "judges.disagreement.verifier.false_positive_share": "judges.false_positive_share",
}
"""Rates of an attack, and what they are called here."""


def _intervals(scores: AttackScores, target: TargetScores) -> dict[str, dict[str, Any]]:
    """The 95 % intervals of the rates that have one: their ends, and what they are over."""
    found = {
        ours: scores.intervals[name] for name, ours in _BOUNDED.items() if name in scores.intervals
    }
    found |= {name: one for name, one in target.intervals.items() if name in _OF_TARGETS}
    return {name: asdict(one) for name, one in found.items()}


_OF_TARGETS = ("test_accuracy", "trapdoor_success")


def _judged(scores: AttackScores) -> dict[str, float | None]:
    """What judges beside the evaluator say, with None for one that was not asked."""
    paths = {
        "agree": "agree",
        "verifier_accepts": "verifier.accepted",
        "nearest_by_parameters": "identity.aa1",
        "false_positive_share": "disagreement.verifier.false_positive_share",
    }
    return {name: at(scores, f"judges.{path}") for name, path in paths.items()}


def _protocol(inputs: Inputs, row: str) -> dict[str, Any]:
    """How it was made and scored."""
    params = inputs.params
    block = params["attack_runs"][row]
    data, target = params["data"][block["data"]], params["targets"][block["target"]]
    evaluator = params["evaluators"][block["evaluator"]]
    scoring = inputs.attack_runs[row].protocol
    return {
        "profile": params["profile"],
        "seed": block["seed"],
        "people": inputs.contracts[block["data"]]["counts"],
        "image_size": data["image_size"],
        "target": target["arch"],
        "evaluator": evaluator["arch"],
        "identities": scoring.identities,
        "images_per_identity": scoring.images_per_identity,
        "evaluation": {
            name: value for name, value in params["evaluation"].items() if name not in _NO_SCORE
        },
    }


def _parameters_digest(params: Mapping[str, Any], row: str) -> str:
    """SHA-256 of the rows and blocks behind an attack run, its target and its evaluator."""
    block = params["attack_runs"][row]
    target = params["targets"][block["target"]]
    parts = {
        "attack_run": block,
        "attack": params["attacks"].get(block["method"], {}),
        "target": target,
        "defence": params.get(target["block"], {}),
        "training": params["classifier_training"][target["training"]],
        "evaluator": params["evaluators"][block["evaluator"]],
        "inversion": params["inversion"],
        "evaluation": params["evaluation"],
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode()
