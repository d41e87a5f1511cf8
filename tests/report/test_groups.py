"""Rows that are seeds of one, and the name of the floor."""

from __future__ import annotations

from trapmid.report import groups
from trapmid.scoring import checks


def test_families():
    rows = {"a-0": 0, "b-0": 0, "a-10": 10, "evaluator": 1000, "c-1": 0}
    blocks = {row: {"seed": seed} for row, seed in rows.items()}
    assert groups.families(blocks, blocks) == {
        "a": {"0": "a-0", "10": "a-10"},
        "b": {"0": "b-0"},
        "evaluator": {"1000": "evaluator"},
        "c-1": {"0": "c-1"},
    }
    assert groups.families(blocks, ["b-0"]) == {"b": {"0": "b-0"}}


def test_the_floor_has_one_name():
    assert groups.FLOOR == checks.FLOOR_ATTACK
