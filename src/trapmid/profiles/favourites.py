"""What a prior asked its target must be enough for the attacks that search it (PPA, IF-GMI).

A style prior learns which latents of a pool a target prefers for a class, and keeps the best; an
attack begins a search from each. A prior that keeps too few would be refused when it has been made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from trapmid.config import params

_PRIORS = {"public": "public_priors", "guided": "guided_priors"}


def problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Priors and attacks that do not fit in this, one line each.

    Args:
        content: a params.yaml in which every row is complete and what it names is there.
    """
    for section in _PRIORS.values():
        for name in content[section]:
            yield from _prior(content, section, name)
    for name in content["attack_runs"]:
        yield from _attack(content, name)


def _prior(content: Mapping[str, Any], section: str, name: str) -> Iterator[str]:
    """A guided prior has a target to ask, a public one has none."""
    block = params.of_row(content, section, name)
    if "candidates" not in block:
        return
    asks = block["candidates"] is not None
    if asks != (section == "guided_priors"):
        wrong = "must be null, for it has no target to ask" if asks else "is null: it asks nothing"
        yield f"{section}.{name}: candidates (of {block.where}) {wrong}"


def _attack(content: Mapping[str, Any], name: str) -> Iterator[str]:
    """An attack that begins from a prior's candidates needs as many as it searches."""
    block = params.of_row(content, "attack_runs", name)
    wanted = block.get("candidates")
    if wanted is None:
        return
    kind, prior = PurePosixPath(content["attack_runs"][name]["prior"]).parts[2:4]
    section = _PRIORS[kind]
    asked = params.of_row(content, section, prior).get("candidates")
    place = f"{section}.{prior}"
    if asked is None:
        yield f"attack_runs.{name}.prior: {place} has no candidates, the attack searches {wanted}"
    elif asked["keep"] < wanted:
        yield (
            f"attack_runs.{name}: searches {wanted} candidates of each class, but {place} keeps "
            f"{asked['keep']} (candidates.keep)"
        )
