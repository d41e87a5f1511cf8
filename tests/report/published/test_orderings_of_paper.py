"""Orderings by the paper and by a study: Kendall's tau against a literal count of all orders."""

from __future__ import annotations

import math
from itertools import combinations, permutations
from pathlib import Path

import pytest

from trapmid.report.published import orderings, tables
from trapmid.report.published.comparison import Comparison
from trapmid.report.published.study import Ours, Place
from trapmid.report.sections.paper import ranked

PUBLISHED = tables.read(Path(__file__).resolve().parents[3] / "reports" / "paper")


def score(x, y):
    """Concordant minus discordant pairs."""
    return sum(
        (x[i] > x[j]) - (x[i] < x[j]) if y[i] > y[j] else (x[i] < x[j]) - (x[i] > x[j])
        for i, j in combinations(range(len(x)), 2)
        if y[i] != y[j]
    )


def literal(x, y):
    """Tau-b by its definition, and p by looking at every order."""
    pairs = list(combinations(range(len(x)), 2))
    untied = [sum(v[i] != v[j] for i, j in pairs) for v in (x, y)]
    found = score(x, y)
    every = [score(order, y) for order in permutations(x)]
    tails = [sum(one >= found for one in every), sum(one <= found for one in every)]
    return found / math.sqrt(untied[0] * untied[1]), min(1.0, 2 * min(tails) / len(every))


@pytest.mark.parametrize(
    ("ours", "published"),
    [
        ([0.3, 0.7], [0.1, 0.9]),
        ([3.0, 2.0, 1.0], [1.0, 2.0, 3.0]),
        ([0.9, 0.8, 0.1, 0.2, 0.5], [0.95, 0.92, 0.06, 0.9, 0.89]),
        ([0.5, 0.5, 0.1, 0.2], [0.9, 0.8, 0.1, 0.2]),  # ours ties
        ([0.5, 0.5, 0.1, 0.2, 0.2], [0.9, 0.8, 0.1, 0.1, 0.2]),  # both do
    ],
)
def test_tau_and_p_against_a_count_of_all_orders(ours, published):
    tau, p = literal(ours, published)
    assert orderings.agreement(ours, published) == (pytest.approx(tau), pytest.approx(p))


def test_known_values():
    assert orderings.agreement([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) == (1, pytest.approx(2 / 120))
    assert orderings.agreement([0.2, 0.2, 0.2], [1, 2, 3]) == (None, None)  # no order at all
    many = orderings.agreement([*range(11), 10], range(12))
    assert many.tau == pytest.approx(65 / math.sqrt(65 * 66)) and many.p < 1e-4


@pytest.mark.parametrize(("ours", "published"), [([1.0], [1.0]), ([1.0, 2.0], [1.0])])
def test_what_is_no_ordering_is_refused(ours, published):
    with pytest.raises(ValueError, match="orderings of"):
        orderings.agreement(ours, published)


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
    assert defences.agreement == (1, pytest.approx(1 / 3))
    assert found["vgg16", "celeba", "none"].agreement == (None, None)  # a tie of two
    assert found["vgg16", "celeba", "trapmid"].agreement == (-1, 1)
    shifted = found["vgg16", "ffhq", "plgmi"]
    assert dict(zip(shifted.names, shifted.published, strict=True)) == pytest.approx(
        {"none": 0.8922, "negls": 0.7812, "trapmid": 0.0086}  # tables 4 and 14
    )
    assert ("vgg16", "celeba", "negls") not in found  # one attack is no ordering


def test_ties_are_shown():
    assert ranked(("a", "b", "c"), (0.2, 0.5, 0.2)) == "b > a = c"
