"""Adaptive terms whose signatures nothing makes are refused before anything runs."""

from __future__ import annotations

import io
from typing import Any

import pytest
from ruamel.yaml import YAML

import shipped
from trapmid.profiles import preflight, signatures

STUDENTS = "models/surrogates/students-a-0/model.pt"


def study(side: str, weights: tuple[float, float] | None, **changes: Any) -> dict[str, Any]:
    """One attack; `changes`: of the row of signatures and of the students' block."""
    adaptive = weights and {"trapdoor_weight": weights[0], "auxiliary_weight": weights[1]}
    row = {"leak": "weights/none", "inverted": None}
    kept = {"signature_images": None}
    return {
        "surrogate_training": {"distil": kept | {k: changes[k] for k in kept if k in changes}},
        "surrogates": {"students-a-0": {"method": "distil"}},
        "signatures": {"a-0": row | {k: changes[k] for k in row if k in changes}},
        "guided_priors": {},
        "attacks": {"lomma": {"adaptive": adaptive}},
        "attack_runs": {"x-a-0": {"method": "lomma", "side_information": side}},
    }


@pytest.mark.parametrize(
    ("side", "weights", "changes"),
    [
        ("weights/none", None, {}),
        ("weights/none", (0.0, 0.0), {}),
        (STUDENTS, None, {}),
        (STUDENTS, (0.0, 3.0), {"signature_images": 30}),
        ("models/signatures/a-0.pt", (0.0, 3.0), {}),
        ("models/signatures/a-0.pt", (3.0, 3.0), {"leak": "models/leaks/a-0.pt"}),
        ("models/signatures/a-0.pt", (3.0, 0.0), {"inverted": {"steps": 5}}),
    ],
)
def test_what_a_row_needs_is_made(side: str, weights: Any, changes: dict[str, Any]) -> None:
    assert [*signatures.problems(study(side, weights, **changes))] == []


@pytest.mark.parametrize(
    ("side", "weights", "changes", "said"),
    [
        (
            "weights/none",
            (0.0, 3.0),
            {},
            "attack_runs.x-a-0.side_information: 'weights/none' knows",
        ),
        (STUDENTS, (0.0, 3.0), {}, "needs surrogates.students-a-0 to keep the features of each"),
        (STUDENTS, (3.0, 0.0), {"signature_images": 30}, "adaptive.trapdoor_weight must be 0"),
        (
            "models/signatures/a-0.pt",
            (3.0, 3.0),
            {},
            "signatures.a-0 has neither a leak nor invert",
        ),
    ],
)
def test_what_nothing_makes_is_one_line(
    side: str, weights: Any, changes: dict[str, Any], said: str
) -> None:
    (line,) = signatures.problems(study(side, weights, **changes))
    assert said in line and "\n" not in line


def test_it_is_part_of_the_preflight() -> None:
    content = YAML().load(shipped.text("adaptive"))
    content["surrogates"]["students-trapmid-0"]["set"]["signature_images"] = None
    stream = io.StringIO()
    YAML().dump(content, stream)
    (line,) = preflight.problems(stream.getvalue())
    assert line.startswith("attack_runs.lomma_gmi_plus-trapmid-0: adaptive.auxiliary_weight needs")
