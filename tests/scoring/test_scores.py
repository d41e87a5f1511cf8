"""Typed scores: what is written is what is read, and nothing else is."""

from __future__ import annotations

import copy
import functools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from painted import MANIFEST, SETUP, Checkpoint, reconstruction, score, score_of_evaluator
from torch import Tensor

import fake_study
from trapmid.artifacts.results import ResultError
from trapmid.scoring.checks import EXPLANATIONS
from trapmid.scoring.machine import Machine, mixed
from trapmid.scoring.scores import KINDS, AttackScores, RowScores, machines, rounded
from trapmid.scoring.target import score_target


def test_rounded() -> None:
    assert rounded(
        {"a": 1 / 3, "b": {"c": -1e-9, "d": 2}, "e": None, "f": True, "g": [1 / 3, 2]}
    ) == {
        "a": 0.333333,
        "b": {"c": 0.0, "d": 2},
        "e": None,
        "f": True,
        "g": [0.333333, 2],
    }


def test_every_check_a_row_writes_is_explained(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    rows = [
        score_of_evaluator(evaluator, private),
        score_target("t", trapped, private, MANIFEST, None, SETUP),
        score(evaluator, trapped, private, public, reconstruction()),
    ]
    for row in rows:
        assert set(row.checks) <= set(EXPLANATIONS)


def by_kind() -> list[RowScores]:
    """Scores of every kind, with everything that may be None and without."""
    study = fake_study.params(seeds=(0,), defenses=fake_study.WIDE)
    parts = (fake_study.judge_scores(study), *fake_study.scores(study))
    return [scores for part in parts for scores in part.values()]


def test_every_machine_is_named_once() -> None:
    first, second = by_kind()[:2]
    other = replace(second, computed_on=Machine(**{**fake_study.MACHINE, "torch": "3.0.0"}))
    older = replace(second, computed_on=None)
    found = machines({"a": first, "b": first, "c": older}, {"d": other})
    assert [str(one) for one in found] == [
        "cpu AVX2, oneDNN AVX2, torch 2.14.1",
        "cpu AVX2, oneDNN AVX2, torch 3.0.0",
    ]


def test_a_gpu_is_named_without_instruction_sets() -> None:
    gpu = Machine(device="cuda", precision="fp32", instructions="", onednn="", torch="2.14.1")
    assert str(gpu) == "cuda, torch 2.14.1"
    assert str(replace(gpu, gpu="NVIDIA H100")) == "cuda NVIDIA H100, torch 2.14.1"


def test_threads_are_named_where_a_file_says_them() -> None:
    one = Machine(**fake_study.MACHINE, threads="1")
    assert str(one) == "cpu AVX2, oneDNN AVX2, torch 2.14.1, threads 1"


@pytest.mark.parametrize(
    ("field", "value", "agree"),
    [
        *((name, "other", False) for name in ("device", "instructions", "onednn", "torch")),
        *((name, "other", False) for name in ("threads", "gpu")),
        *((name, "", True) for name in ("threads", "gpu")),  # of an older file
        ("onednn", "", False),
        ("precision", "bf16", True),  # a row's own choice
    ],
)
def test_machines_agree_as_far_as_both_say(field: str, value: str, agree: bool) -> None:
    one = Machine(**fake_study.MACHINE, threads="1", gpu="A")
    other = replace(one, **{field: value})
    assert one.agrees(other) is other.agrees(one) is agree


def test_in_what_machines_differ_is_told() -> None:
    """Of records of any age; a precision is a row's own choice."""
    older = fake_study.MACHINE
    records = [older | {"threads": n, "precision": p} for n, p in (("2", "fp32"), ("1", "bf16"))]
    assert mixed([older, *records]) == {"threads": ["1", "2"]}
    assert mixed([older, records[0]]) == {}


def test_what_is_written_is_read() -> None:
    every = by_kind()
    assert {type(scores) for scores in every} == set(KINDS.values())
    for scores in every:
        text = json.dumps(scores.to_json(), sort_keys=True, allow_nan=False)
        again = type(scores).from_json(json.loads(text), Path("row.json"))
        assert again == scores
        assert json.dumps(again.to_json(), sort_keys=True) == text


def test_measured_scores_are_read_as_they_were_written(
    private: dict[str, Tensor], public: Tensor, evaluator: Checkpoint, trapped: Checkpoint
) -> None:
    made = reconstruction() | {"counts": {"queries": torch.arange(20)}}
    for scores in (
        score_of_evaluator(evaluator, private),
        score_target("t", trapped, private, MANIFEST, None, SETUP),
        score(evaluator, trapped, private, public, made),
    ):
        content = json.loads(json.dumps(scores.to_json(), allow_nan=False))
        assert type(scores).from_json(content, Path("row.json")) == scores


FREE_NAMES = (
    *("checks", "failed_checks", "facts", "counts", "intervals"),
    *("attributes", "groups", "disagreement", "ceiling", "reliability", "robust_accuracy"),
)


def leaves(content: dict[str, Any], where: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The path of every key whose name is not data."""
    found = []
    for key, value in content.items():
        found.append((*where, key))
        if isinstance(value, dict) and key not in FREE_NAMES:
            found += leaves(value, (*where, key))
    return found


def parent(content: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    return functools.reduce(lambda part, key: part[key], path[:-1], content)


LATER = {  # of older files one knows what they would say, or that they say nothing
    *((section, "computed_on", name) for section in KINDS for name in ("threads", "gpu")),
    ("judges", "votes"),
    ("judges", "intervals"),
    ("judges", "verifier", "nearest_image"),
    ("attack_runs", "judges", "ceiling"),
    ("attack_runs", "judges", "agree_on_real"),
    ("attack_runs", "judges", "verifier", "nearest_image"),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.section)
def test_a_missing_and_an_unknown_key_are_named(kind: type[RowScores]) -> None:
    # The one with most of them: every nested part is there.
    content = max(
        (s.to_json() for s in by_kind() if type(s) is kind), key=lambda one: len(leaves(one))
    )
    for path in leaves(content):
        broken = copy.deepcopy(content)
        holder = parent(broken, path)
        del holder[path[-1]]
        if path == ("computed_on",) or (kind.section, *path) in LATER:
            kind.from_json(broken, Path("scores/row.json"))
        else:
            with pytest.raises(ResultError, match=rf"^scores/row\.json.*missing \['{path[-1]}'\]"):
                kind.from_json(broken, Path("scores/row.json"))
        holder |= {path[-1]: parent(content, path)[path[-1]], "aa7": 1.0}
        with pytest.raises(ResultError, match=r"^scores/row\.json.*unknown \['aa7'\]") as error:
            kind.from_json(broken, Path("scores/row.json"))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", ["0.9", True, None])
def test_a_wrong_score_is_named(value: object) -> None:
    content = by_kind()[-1].to_json() | {"aa1": value}
    with pytest.raises(ResultError, match=r"^attack_runs/a\.json: aa1: must be float, is "):
        AttackScores.from_json(content, Path("attack_runs/a.json"))


def test_a_wrong_score_of_a_file_is_named(tmp_path: Path) -> None:
    study = fake_study.write(tmp_path, seeds=(0,))
    file = tmp_path / "reports/scores/attack_runs/gmi-none-0.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    del content["left_out"]
    fake_study.write_json(file, content)
    with pytest.raises(ResultError, match=r"attack_runs/gmi-none-0\.json: missing \['left_out'\]"):
        fake_study.read_scores(tmp_path, study)
