"""The paper's tables in reports/paper: whole, consistent, and such numbers as counts can give."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest

from trapmid.artifacts.results import ResultError
from trapmid.report.published import tables

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "reports" / "paper"
PUBLISHED = tables.read(FOLDER)

FIVE = ("acc", "aa1", "aa5", "knn_dist", "fid")
MANIFOLD = ("improved_precision", "improved_recall", "density", "coverage")
PRINTED = {
    **dict.fromkeys((1, 2, 5, 6, 7, 8, 10, 12, 13, 14, 15, 16, 17), FIVE),
    4: FIVE[1:],
    9: ("training_minutes",),
    11: ("acc", "facenet_dist", *MANIFOLD),
    18: ("acc", "initial_iterations", "aa1"),
    19: ("acc", "aa1", "aa5", "facenet_dist", "eval_dist", "fid"),
    20: MANIFOLD,
}
"""The columns of every table but the third, whose first row has two of four."""

ROWS = {1: 15, 2: 10, 3: 6, 4: 4, 5: 25, 6: 15, 7: 20, 8: 25, 9: 5, 10: 10, 11: 5, 12: 25}
ROWS |= {13: 25, 14: 5, 15: 7, 16: 7, 17: 10, 18: 5, 19: 10, 20: 9}

LOSSES = {"mid": 3009, "negls": 2944}
"""Test images of one accuracy: all 3,009, or 23 whole batches of 128; of the others 47 of 64."""


def of_table(number):
    return [one for one in PUBLISHED.numbers if one.table == number]


def fits(printed: str, n: int) -> bool:
    """Whether some k of n rounds to so many percent; halves may go either way."""
    value = Decimal(printed)
    half = Decimal("0.5").scaleb(value.as_tuple().exponent)
    near = int(value * n / 100)
    return any(abs(Decimal(100 * k) / n - value) <= half for k in range(near - 1, near + 3))


def test_twenty_tables_in_their_order():
    assert [one.table for one in PUBLISHED.tables] == list(range(1, 21))
    order = [one.table for one in PUBLISHED.numbers]
    assert order == sorted(order) and set(order) == set(range(1, 21))


@pytest.mark.parametrize("table", PRINTED)
def test_every_row_has_the_metrics_of_its_table(table):
    rows = Counter((one.public, one.row) for one in of_table(table))
    metrics = [(one.public, one.row, one.metric) for one in of_table(table)]
    expected = [(*row, metric) for row, metric in product(rows, PRINTED[table])]
    assert sorted(metrics) == sorted(expected)
    assert len(rows) == ROWS[table]


def test_the_third_table_has_shares_that_add_up():
    rows: dict[str, dict[str, float]] = {}
    for one in of_table(3):
        rows.setdefault(one.row, {})[one.metric] = one.amount
    assert len(rows) == ROWS[3]
    for metrics in rows.values():
        assert metrics["nearest_public"] + metrics["nearest_private"] == pytest.approx(1)


def test_names_are_unique_by_row():
    """Two printed rows of one table never answer to one attack, defence and setting."""
    keys = [
        (one.table, one.public, one.architecture, one.attack, one.defence, one.target, one.metric)
        for one in PUBLISHED.numbers
    ]
    assert [key for key, count in Counter(keys).items() if count > 1] == []


def test_a_mean_over_five_targets_is_the_same_in_every_table():
    """Tables 3, 5 to 8 and 17 repeat tables 1 and 2, with another deviation."""
    found: dict[tuple[str, ...], set[str]] = {}
    repeated = 0
    for one in PUBLISHED.numbers:
        if one.target == "mean" and one.seeds == "5" and one.metric != "acc":
            key = (one.public, one.architecture, one.attack, one.defence, one.metric)
            repeated += key in found
            found.setdefault(key, set()).add(one.value)
    assert repeated > 100
    assert [key for key, values in found.items() if len(values) > 1] == []


def test_rates_and_orders_of_magnitude():
    for one in PUBLISHED.numbers:
        if one.unit == "%":
            assert 0 <= one.amount <= 1
    found = {}
    for one in PUBLISHED.numbers:
        if one.metric in ("aa1", "aa5"):
            found.setdefault((one.table, one.public, one.row), {})[one.metric] = one.amount
    pairs = [metrics for metrics in found.values() if len(metrics) == 2]
    assert len(pairs) > 200 and all(one["aa1"] <= one["aa5"] for one in pairs)


def images(number) -> int:
    """Of how many images a printed rate is: what one run attacks, and five where five are meant."""
    if number.table == 19:
        return 50_000
    if number.table == 18:
        return 300
    last_draw = number.metric == "aa5" and number.attack.startswith("lomma")
    return (1000 if last_draw else 5000) * (5 if number.target == "mean" else 1)


def test_attack_accuracies_are_shares_of_the_images():
    """Single runs: multiples of 1/5,000, LOMMA's AA-5 of 1/1,000, BREP-MI's of 1/300."""
    rates = [one for one in PUBLISHED.numbers if one.metric in ("aa1", "aa5")]
    assert [one for one in rates if not fits(one.value, images(one))] == []
    # What the digits can tell: a mean of five can be any hundredth, but LOMMA's AA-5.
    telling = [one for one in rates if images(one) <= 5000]
    assert len(telling) > 200
    assert not any(fits(str(Decimal(one.value) + Decimal("0.01")), images(one)) for one in telling)


def test_accuracies_are_shares_of_the_test_images_that_each_loader_kept():
    single = {
        (one.defence, one.value)
        for one in PUBLISHED.numbers
        if one.metric == "acc" and one.target != "mean" and one.private == "celeba"
    }
    unlike = [one for one in single if not fits(one[1], LOSSES.get(one[0], 47 * 64))]
    assert unlike == []
    assert len(single) == 30
    assert sum(not fits(value, 3009) for _, value in single) == 11  # so not all are of every image


def test_a_table_says_what_answers_it():
    known = {path.stem for path in (ROOT / "profiles").glob("paper*.yaml")}
    for one in PUBLISHED.tables:
        named = set(re.findall(r"paper\w*", one.profile))
        assert named <= known and (named or one.profile.startswith("none: "))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("14.29,0.63", "lots,0.63", "'lots' is no number"),
        (",aa1,14.29,0.63,%", ",aa1,14.29,0.63,kg", "unit"),
        ("mean,gmi,none,aa1", "some,gmi,none,aa1", "target"),
        ("14.29,0.63", "14.29,", "deviation ''"),
        ("14.29,0.63,", "14.29,0.63,,", "another number of cells"),
        (
            "1,GMI / -,celeba,celeba,vgg16,mean,gmi,none,aa1",
            "99,GMI,,,,mean,,,aa1",
            "no such table",
        ),
        ("table,row", "table,line", "columns"),
    ],
)
def test_a_damaged_table_is_refused_in_one_line(tmp_path, old, new, said):
    for name in ("tables.csv", "numbers.csv"):
        text = (FOLDER / name).read_text(encoding="utf-8")
        damaged = text.replace(old, new, 1) if name == "numbers.csv" else text
        (tmp_path / name).write_text(damaged, encoding="utf-8")
    with pytest.raises(ResultError, match=re.escape(said)) as caught:
        tables.read(tmp_path)
    assert "\n" not in str(caught.value) and "numbers.csv" in str(caught.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(ResultError, match=r"tables\.csv: no such file"):
        tables.read(tmp_path)
