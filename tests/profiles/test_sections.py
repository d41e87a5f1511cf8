"""The sections of a profile are those of the study."""

from __future__ import annotations

import dataclasses

from trapmid.config import study
from trapmid.profiles.implied import ORDER
from trapmid.profiles.sections import ROWS


def test_rows_are_those_of_the_study():
    assert tuple(study.ROWS) == ROWS
    rows = [cls for name, cls in study.ROWS.items() if name not in ("raw", "data")]
    assert {f.name for cls in rows for f in dataclasses.fields(cls)} == set(ORDER)
