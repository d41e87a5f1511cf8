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


@pytest.mark.parametrize(
    ("init", "said"),
    [
        ("weights/ms1m.pt", ["starts from weights/ms1m.pt, as the evaluator second does: an"]),
        ("weights/other.pt", []),
        ("weights/random", []),
        ("weights/torchvision", []),  # another file for another network
    ],
)
def test_a_start_that_an_evaluator_shares_is_said(init: str, said: list[str]) -> None:
    evaluators = {
        name: {"init": start}
        for name, start in (("evaluator", "weights/random"), ("second", "weights/ms1m.pt"))
    } | {"third": {"init": "weights/torchvision"}}
    found = cast(Findings, SimpleNamespace(params={"evaluators": evaluators}))
    lines = list(targets._shared(found, init))
    assert [line.rpartition(" ancestor ")[0] for line in lines] == said
