"""What a row names: tags to group by, and the blocks of parameters that reach its result."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trapmid.config.params import of_row

_BLOCK = {
    "public_priors": "prior_training",
    "surrogates": "surrogate_training",
    "guided_priors": "prior_training",
    "trained_judges": "judge_training",
    "attack_runs": "attack",
}
"""What the parameters of a row's method are called in MLflow."""


def row_tags(params: Mapping[str, Any], section: str, row: str) -> dict[str, str]:
    """Tags to group and filter by: the defence and the attack, where the row has them."""
    block = params[section][row]
    target = params["targets"].get(block.get("target"), block if section == "targets" else {})
    found = {
        "defense": target.get("defense"),
        "attack": block.get("attack"),
        "method": block.get("method"),
        "surrogate": block.get("surrogate"),
        "queried_model": _queried_kind(params, block.get("queried_model")),
        "seed": block.get("seed"),
        "evaluator": block.get("evaluator"),
        "judges": _judges(block),
    }
    return {name: str(value) for name, value in found.items() if value is not None}


def _judges(block: Mapping[str, Any]) -> str | None:
    """Rows of `judges` beside the evaluator; None: the row names none."""
    files = (str(block.get(role, "")) for role in ("verifier", "identity"))
    found = [Path(file).stem for file in files if file.startswith("data/features/judges/")]
    return " ".join(found) or None


def _queried_kind(params: Mapping[str, Any], queried_model: str | None) -> str | None:
    """What a search or a prior asks: the target, or a kind of surrogate; None: the row has none."""
    if queried_model is None:
        return None
    if not queried_model.startswith("models/surrogates/"):
        return "target"
    return str(params["surrogates"][queried_model.rpartition("/")[2]]["surrogate"])


def row_blocks(params: Mapping[str, Any], section: str, row: str) -> dict[str, Any]:
    """The row and every block of parameters that it names, its target and its prior included."""
    block = params[section][row]
    found: dict[str, Any] = {"row": block}
    if "data" in block:
        found["data"] = params["data"].get(block["data"])
    if section in _BLOCK:
        found[_BLOCK[section]] = of_row(params, section, row)
    if section in ("evaluators", "pretrained", "targets"):
        found |= _classifier(params, section, row)
    if section == "judges":
        found["evaluation"] = params["evaluation"]
    if section == "attack_runs":
        found |= {"inversion": params["inversion"], "evaluation": params["evaluation"]}
        kind, _, prior = str(block["prior"]).removeprefix("models/priors/").partition("/")
        priors = f"{kind}_priors"
        if prior_row := params.get(priors, {}).get(prior):
            found |= {"prior": prior_row, "prior_training": of_row(params, priors, prior)}
    for key in ("queried_model", "side_information"):
        found |= _made(params, key, str(block.get(key, "")))
    if "target" in block:
        found["target"] = params["targets"][block["target"]]
        found |= _classifier(params, "targets", block["target"])
    return found


def _classifier(params: Mapping[str, Any], section: str, row: str) -> dict[str, Any]:
    """How a classifier was trained, and the parameters of its defence."""
    block = params[section][row]
    fit = params["classifier_training"].get(block["training"])
    return {"training": fit, block["block"]: of_row(params, section, row)}


def _made(params: Mapping[str, Any], key: str, path: str) -> dict[str, Any]:
    """The row of the surrogate or the signatures that the file or folder `path` comes from."""
    section, _, rest = path.removeprefix("models/").partition("/")
    row = rest.partition("/")[0].removesuffix(".pt")
    if section not in ("surrogates", "signatures") or row not in params[section]:
        return {}
    block = params[section][row]
    found: dict[str, Any] = {key: block}
    if section == "surrogates":
        found[f"{key}_training"] = of_row(params, section, row)
    leak = str(block.get("leak", "")).removeprefix("models/leaks/").removesuffix(".pt")
    if leak in params["leaks"]:
        found["leak"] = params["leaks"][leak]
    return found
