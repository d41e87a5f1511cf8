"""The sections of a profile are those of the study."""

from __future__ import annotations

import dataclasses

from trapmid.config import study
from trapmid.profiles.implied import ORDER
from trapmid.profiles.sections import ROWS, defenses


def test_rows_are_those_of_the_study():
    assert tuple(study.ROWS) == ROWS
    rows = [cls for name, cls in study.ROWS.items() if name not in ("raw", "data")]
    assert {f.name for cls in rows for f in dataclasses.fields(cls)} == set(ORDER)


def test_an_audited_model_is_no_control():
    params = {
        "targets": {"a": {"defense": "audited"}, "b": {"defense": "none"}, "c": None},
        "mid": {"weight": 1.0},
        "gate": {},
        "audit": {"left_out": 0},
        "profile": "mine",
    }
    assert defenses(params) == {"none", "mid"}
