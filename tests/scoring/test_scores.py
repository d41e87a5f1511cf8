"""Typed scores: what is written is what is read, and nothing else is."""

from __future__ import annotations

from painted import MANIFEST, SETUP, Checkpoint, reconstruction, score, score_judge
from torch import Tensor

from trapmid.checks import EXPLANATIONS
from trapmid.scoring.scores import rounded
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
        score_judge(evaluator, private),
        score_target("t", trapped, private, MANIFEST, SETUP),
        score(evaluator, trapped, private, public, reconstruction()),
    ]
    for row in rows:
        assert set(row.checks) <= set(EXPLANATIONS)
