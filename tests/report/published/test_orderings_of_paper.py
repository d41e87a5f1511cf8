"""Orderings by the paper and by a study, where their numbers are no pairs, too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from trapmid.report.published import orderings, tables
from trapmid.report.published.comparison import Comparison
from trapmid.report.published.rows import Place
from trapmid.report.published.study import Ours
from trapmid.report.sections.paper import ranked

PUBLISHED = tables.read(Path(__file__).resolve().parents[3] / "reports" / "paper")


def compared(values):
    """Every published number, with ours by attack and defence, of drawn faces."""
    place = Place("faces", "small")
    found = []
    for number in PUBLISHED.numbers:
        value = values.get((number.attack, number.defence))
        ours = None if value is None else Ours(rows=("x",), place=place, value=value, range=None)
        status = "not run" if ours is None else "not comparable"
        found.append(Comparison(number, ours, None, status, ()))
    return found


def test_orderings_compare_what_is_not_comparable():
    values = {
        ("plgmi", "none"): 0.9,
        ("plgmi", "negls"): 0.8,
        ("plgmi", "trapmid"): 0.2,
        ("gmi", "none"): 0.9,  # as much as PLG-MI
        ("gmi", "trapmid"): 0.3,
    }
    found = {
        (one.setting.architecture, one.setting.public, one.fixed): one
        for one in orderings.orderings(compared(values))
    }
    defences = found["vgg16", "celeba", "plgmi"]
    assert defences.names == ("none", "negls", "trapmid") and defences.of == "defences"
    assert defences.published == pytest.approx((0.9581, 0.8938, 0.0623))  # table 1
    assert defences.agreement[:2] == (1, pytest.approx(1 / 3))
    assert found["vgg16", "celeba", "none"].agreement is None  # a tie of two
    assert found["vgg16", "celeba", "trapmid"].agreement[:2] == (-1, 1)
    shifted = found["vgg16", "ffhq", "plgmi"]
    assert dict(zip(shifted.names, shifted.published, strict=True)) == pytest.approx(
        {"none": 0.8922, "negls": 0.7812, "trapmid": 0.0086}  # tables 4 and 14
    )
    assert ("vgg16", "celeba", "negls") not in found  # one attack is no ordering


def test_the_first_table_counts_and_no_best_or_worst_case():
    """Of a cell that stands in several tables; the best of several targets comes before it here."""
    places = ("celeba", "celeba", "vgg16", "aa1")
    first = {
        one.defence: one
        for one in reversed(PUBLISHED.numbers)
        if (one.private, one.public, one.architecture, one.metric) == places
        and one.attack == "plgmi"
        and one.target in ("mean", "one")
    }
    none, trapmid = (first[defence] for defence in ("none", "trapmid"))
    numbers = [
        replace(trapmid, target="best", value="0.01"),
        replace(none, value="90.0"),
        replace(trapmid, value="10.0"),
        replace(trapmid, table=99, value="99.0"),
    ]
    ours = Ours(rows=("x",), place=Place("faces", "small"), value=0.5, range=None)
    given = [Comparison(number, ours, None, "not comparable", ()) for number in numbers]
    (found,) = orderings.orderings(given)
    assert dict(zip(found.names, found.published, strict=True)) == pytest.approx(
        {"none": 0.9, "trapmid": 0.1}
    )


def test_ties_are_shown():
    assert ranked(("a", "b", "c"), (0.2, 0.5, 0.2)) == "b > a = c"
