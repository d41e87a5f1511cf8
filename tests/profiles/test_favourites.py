"""An attack that searches more candidates than its prior keeps is refused before anything runs."""

from __future__ import annotations

import functools
import io
from typing import Any

import pytest
from ruamel.yaml import YAML

import shipped
from trapmid.profiles import favourites, preflight

KEPT = {"pool": 20, "keep": 10}


def study(prior: str, asked: Any, searched: int | None) -> dict[str, Any]:
    """Two priors of one block, and an attack that searches one of them.

    Args:
        prior: guided/x-none-0 or public/style, the prior that is searched.
        asked: `candidates` of the guided prior's row.
        searched: `candidates` of the attack.
    """
    row = {"method": "style", "set": {"candidates": asked}}
    return {
        "prior_training": {"style": {"steps": 5, "candidates": None}, "gmi": {"steps": 5}},
        "public_priors": {"style": {"method": "style"}, "gmi": {"method": "gmi"}},
        "guided_priors": {"x-none-0": row},
        "attacks": {"ppa": {"steps": 5, "candidates": searched}},
        "attack_runs": {"x-none-0": {"method": "ppa", "prior": f"models/priors/{prior}"}},
    }


@pytest.mark.parametrize(
    ("prior", "searched"),
    [
        ("guided/x-none-0", 10),  # all that are kept
        ("guided/x-none-0", 9),
        ("public/style", None),  # IF-GMI from random codes
        ("public/gmi", None),
    ],
)
def test_what_is_kept_is_enough(prior: str, searched: int | None) -> None:
    assert [*favourites.problems(study(prior, KEPT, searched))] == []


@pytest.mark.parametrize(
    ("prior", "asked", "line"),
    [
        (
            "guided/x-none-0",
            KEPT | {"keep": 4},
            "attack_runs.x-none-0: searches 5 candidates of each class, "
            "but guided_priors.x-none-0 keeps 4 (candidates.keep)",
        ),
        (
            "public/style",
            KEPT,
            "attack_runs.x-none-0.prior: public_priors.style has no candidates, "
            "the attack searches 5",
        ),
        (
            "public/gmi",
            KEPT,
            "attack_runs.x-none-0.prior: public_priors.gmi has no candidates, "
            "the attack searches 5",
        ),
    ],
)
def test_what_is_not_enough_is_a_line(prior: str, asked: Any, line: str) -> None:
    assert [*favourites.problems(study(prior, asked, 5))] == [line]


def test_only_a_guided_prior_can_ask() -> None:
    made = study("public/gmi", None, None)
    made["public_priors"]["style"]["set"] = {"candidates": KEPT}
    assert [*favourites.problems(made)] == [
        "public_priors.style: candidates (of prior_training.style) "
        "must be null, for it has no target to ask",
        "guided_priors.x-none-0: candidates (of prior_training.style) is null: it asks nothing",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "value", "rows"),
    [
        ("attacks.ppa.candidates", 11, "ppa"),
        ("attacks.ifgmi.candidates", 3, "ifgmi"),  # whose prior is the public one
    ],
)
def test_the_check_of_a_profile_says_so(place: str, value: int, rows: str) -> None:
    content = YAML(typ="safe").load(shipped.text("attacks"))
    *above, key = place.split(".")
    functools.reduce(lambda node, name: node[name], above, content)[key] = value
    stream = io.StringIO()
    YAML(typ="safe").dump(content, stream)
    lines = preflight.problems(stream.getvalue())
    attacked = [name for name, row in content["attack_runs"].items() if row["method"] == rows]
    assert len(lines) == len(attacked) > 0
    assert all(any(line.startswith(f"attack_runs.{row}") for line in lines) for row in attacked)
