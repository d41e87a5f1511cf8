"""docs/reproduce.md: how many printed AA-1 values the rows of the paper profiles answer."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

import fake_study
import shipped
from trapmid.config import params
from trapmid.report.published import tables
from trapmid.report.published.study import Study

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = tables.read(ROOT / "reports" / "paper")
LINE = re.compile(r"^\| (\d+) \|[^|]*\|([^|]*)\|[^|]*\|[^|]*\| ([^|]*) \|$", re.MULTILINE)
LINES = LINE.findall((ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8"))


@cache
def study(profile):
    content = params.parse(shipped.text(profile))
    evaluators, targets, attack_runs = fake_study.scores(content)
    return Study(
        params=content,
        metrics={"attacks": {}},
        evaluators=evaluators,
        targets=targets,
        attack_runs=attack_runs,
        seconds={},
    )


def answered(profile, number):
    """Whether a row has the number's attack, defence, network and public images."""
    ours = study(profile).find(number)
    if ours is None:
        return False
    public = study(profile).origin(ours.place.data, "public")
    return (ours.place.architecture, public) == (number.architecture, number.public)


@pytest.mark.slow
@pytest.mark.parametrize(("table", "profiles", "count"), LINES, ids=[line[0] for line in LINES])
def test_as_many_numbers_are_answered_as_the_document_says(table, profiles, count):
    printed = [n for n in PUBLISHED.numbers if n.table == int(table) and n.metric == "aa1"]
    named = re.findall(r"`(\w+)`", profiles)
    found = sum(any(answered(profile, number) for profile in named) for number in printed)
    assert count == (f"{found} of {len(printed)}" if printed else "none is printed")


def test_every_table_has_a_line_with_the_profiles_of_its_protocol():
    assert [int(line[0]) for line in LINES] == [one.table for one in PUBLISHED.tables]
    for one, (_, profiles, _count) in zip(PUBLISHED.tables, LINES, strict=True):
        if not one.profile.startswith("none"):
            assert re.findall(r"`(\w+)`", profiles) == re.findall(r"paper\w*", one.profile)
