"""What the lines of targets say beside their numbers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from trapmid.report.findings import Findings
from trapmid.report.sections import targets


@pytest.mark.parametrize(
    ("start", "arch", "said"),
    [
        ("names", "dlib_head", []),
        ("taught", "small_resnet", ["taught learnt the embedding of dlib"]),
        (
            "taught",
            "dlib_head",
            ["taught learnt the embedding of dlib, an ancestor that it shares with the evaluator"],
        ),
    ],
)
def test_who_taught_a_start_is_said(start: str, arch: str, said: list[str]) -> None:
    params: dict[str, Any] = {
        "pretrained": {"names": {}, "taught": {"teacher": "dlib"}},
        "evaluators": {"evaluator": {"arch": arch}},
    }
    found = cast(Findings, SimpleNamespace(params=params))
    assert list(targets._teacher(found, start)) == said
