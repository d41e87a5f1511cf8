"""What a row of a profile leaves out: taken from the rows that it names, the defaults, its name."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ruamel.yaml.comments import CommentedMap

from trapmid.profiles.sections import ProfileError

IMPLIED: dict[str, dict[str, str]] = {
    "evaluators": {"method": "{defense}", "block": "{method}"},
    "pretrained": {"method": "{defense}", "block": "{method}"},
    "targets": {"defense": "{row}", "method": "{defense}", "block": "{method}"},
    "public_priors": {"method": "{row}"},
    "surrogates": {"surrogate": "{family}", "method": "{surrogate}"},
    "signatures": {"leak": "weights/none"},
    "guided_priors": {
        "method": "{family}",
        "queried_model": "models/targets/{target}",
        "side_information": "weights/none",
    },
    "trained_judges": {
        "method": "{row}",
        "block": "judge_training.{method}",
        "truth": "weights/none",
    },
    "judges": {"method": "{row}", "truth": "weights/none"},
    "attack_runs": {
        "verifier": "weights/none",
        "identity": "weights/none",
        "second_evaluator": "weights/none",
        "attack": "{family}",
        "method": "{attack}",
        "queried_model": "models/targets/{target}",
        "side_information": "weights/none",
    },
}
"""What a row says that neither it nor the section's `defaults` say, in this order.

`row` is its name, `family` that name without the target's: what is before the star.
"""

ORDER = (
    "attack",
    "defense",
    "surrogate",
    "method",
    "block",
    "arch",
    "training",
    "teacher",
    "target",
    "queried_model",
    "side_information",
    "leak",
    "inverted",
    "top_n",
    "prior",
    "evaluator",
    "verifier",
    "identity",
    "second_evaluator",
    "model",
    "min_images",
    "truth",
    "init",
    "data",
    "seed",
    "set",
)
"""In which order a row of params.yaml says what: the method, what it works on, where it starts."""


def complete(
    tree: CommentedMap, section: str, row: str, defaults: Mapping[str, Any], name: str
) -> None:
    """Writes what a row leaves out, and puts its keys in order."""
    block = tree[section][row]
    for key, value in {**defaults, **_related(tree, section, row)}.items():
        block.setdefault(key, copy.deepcopy(value))
    names = {"row": row, "family": row.removesuffix(f"-{block.get('target')}")}
    for key, pattern in IMPLIED.get(section, {}).items():
        try:
            block.setdefault(key, pattern.format_map({**block, **names}))
        except KeyError as error:
            raise ProfileError(f"{name}: {section}.{row}: no {error}") from None
    tree[section][row] = CommentedMap((key, block[key]) for key in sorted(block, key=_order))


def _order(key: str) -> int:
    return ORDER.index(key) if key in ORDER else len(ORDER)


def _related(tree: CommentedMap, section: str, row: str) -> dict[str, Any]:
    """What follows from other rows: the target's, or the guided prior's of the same name.

    An attack on a prior of its own searches that prior, and asks what the prior asked.
    """
    block = tree[section][row]
    target = tree["targets"].get(block.get("target"), {})
    found = {"data": target["data"]} if "data" in target else {}
    if section == "surrogates" and "arch" in target:
        found["arch"] = target["arch"]
    if section == "signatures" and block.get("target") in tree["leaks"]:
        found["leak"] = f"models/leaks/{block['target']}.pt"
    if section == "attack_runs" and row in tree["guided_priors"]:
        own = tree["guided_priors"][row]
        found |= {
            key: own[key] for key in ("queried_model", "side_information", "data") if key in own
        }
        found["prior"] = f"models/priors/guided/{row}"
    return found
