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


def unanswered(metric):
    """The numbers of a metric that no paper profile has a row for."""
    names = sorted({name for _, named, _ in LINES for name in re.findall(r"`(\w+)`", named)})
    return [
        number
        for number in PUBLISHED.numbers
        if number.metric == metric and not any(answered(name, number) for name in names)
    ]


@pytest.mark.slow
def test_what_no_profile_produces_stands_in_the_deviations():
    text = " ".join((ROOT / "docs" / "deviations.md").read_text(encoding="utf-8").split())
    section = text.split("### What no profile produces ")[1].split(" ## ")[0]
    missing = unanswered("aa1")
    assert {one.table for one in missing} == {5, 6, 7, 8, 12, 13}
    others = {"gmi", "kedmi", "lomma_gmi", "lomma_kedmi"}
    assert {one.attack for one in missing} == others
    printed = [
        one
        for one in PUBLISHED.numbers
        if one.metric == "aa1" and one.attack in others and one.table in (5, 6, 7, 8, 12, 13)
    ]
    rest = [one for one in printed if one not in missing]
    assert {(one.defence, one.table) for one in rest} <= {
        (defence, table) for defence in ("none", "trapmid") for table in (5, 6, 7, 8)
    }
    assert (
        f"the four attacks beside PLG-MI in 5 to 8, 12 and 13: of their {len(printed)} AA-1 "
        f"values, {len(missing)} have no row in any profile. The other {len(rest)}, "
        "without a defence and of Trap-MID in 5 to 8, are those of tables 1 and 2"
    ) in section


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "tables"),
    [("nearest_private", {3}), ("nearest_public", {3})],
)
def test_a_metric_without_a_score_is_answered_nowhere(metric, tables):
    assert {one.table for one in unanswered(metric)} == tables


def test_every_table_has_a_line_with_the_profiles_of_its_protocol():
    assert [int(line[0]) for line in LINES] == [one.table for one in PUBLISHED.tables]
    for one, (_, profiles, _count) in zip(PUBLISHED.tables, LINES, strict=True):
        if not one.profile.startswith("none"):
            assert re.findall(r"`(\w+)`", profiles) == re.findall(r"paper\w*", one.profile)
