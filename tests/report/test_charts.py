"""What axes and bars show, read off the drawn figures."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from trapmid.report import charts
from trapmid.report.charts import Point


def axes():
    return Figure(figsize=(5, 3)).subplots()


@pytest.mark.parametrize(
    "values", [[100.0, 99.4], [100.0], [85.0, 86.2, 40.0], [99.9999999], [12.5, 12.5], []]
)
def test_the_accuracy_axis_ends_where_targets_and_percent_do(values):
    ax = axes()
    charts._limit_accuracy(ax, values)
    low, high = ax.get_xlim()
    assert all(tick <= 100 for tick in ax.get_xticks()) and len(ax.get_xticks()) >= 1
    assert all(low < value < high for value in values)
    if values:
        assert high - low < 1.5 * (max(values) - min(values)) + 1.5  # no room for nothing


@pytest.mark.parametrize("rates", [[1.0], [0.0], [0.5, 0.97], [0.0, 1.0], [0.91], [0.575]])
def test_a_bars_digits_stay_on_the_axis(rates):
    """The axis ends at the ceiling; a bar that reaches it has its digits inside."""
    ax = axes()
    charts._draw_bar(ax, 0, [Point(attack="a", defense="d", accuracy=1, aa1=r) for r in rates])
    (digits,) = ax.texts
    mean = 100 * sum(rates) / len(rates)
    assert digits.get_text() == f"{mean:.1f}"
    end = digits.get_position()[0]
    assert (end > max(rates) * 100) is (digits.get_ha() == "left") is (max(rates) <= 0.9)
    assert 0 < end < 99


def test_an_attack_that_did_not_run_is_said():
    ax = axes()
    charts._draw_bar(ax, 0, [])
    assert [text.get_text() for text in ax.texts] == ["not run"] and not ax.patches


def test_a_bar_has_the_line_of_its_interval_and_digits_behind_it():
    given = {"attack": "a", "defense": "d", "accuracy": 1.0}
    ax = axes()
    charts._draw_bar(ax, 0, [Point(**given, aa1=0.5, interval=(0.25, 0.625))])
    assert [list(line.get_xdata()) for line in ax.lines] == [[25.0, 62.5]]
    assert ax.texts[0].get_position()[0] > 62.5
    ax = axes()
    charts._draw_bar(ax, 0, [Point(**given, aa1=0.875, interval=(0.75, 0.95))])
    assert ax.texts[0].get_position()[0] < 75 and ax.texts[0].get_ha() == "right"


def test_the_accuracy_has_its_interval_and_room_for_it():
    """One of 168 test images is 0.6 points: without the line, that looks like a price."""
    ax = axes()
    one = Point(attack="a", defense="d", accuracy=0.875, aa1=0.5, across=(0.75, 0.9375))
    charts._draw_marks(ax, 0, "d", [one])
    assert [list(line.get_xdata()) for line in ax.lines] == [[87.5], [75.0, 93.75]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "png", lambda figure: figure.axes[0].get_xlim())
        low, high = charts.trade_off([one])
    assert low < 75.0 and high > 93.75


def test_what_stands_behind_a_number_stands_in_the_charts():
    """Behind the digits of a bar; beside the mark of a worst case, and in the legend."""
    one = Point(attack="a", defense="d", accuracy=0.9, aa1=0.5, mark="*†")
    ax = axes()
    charts._draw_bar(ax, 0, [one])
    assert [text.get_text() for text in ax.texts] == ["50.0*†"]
    ax = axes()
    charts._draw_marks(ax, 0, "d", [one])
    assert [text.get_text() for text in ax.texts] == ["*†"]
    assert ax.get_legend_handles_labels()[1] == ["d*†"]


def test_an_interval_is_a_line_through_its_mark():
    ax = axes()
    given = {"attack": "a", "defense": "d", "accuracy": 0.9, "aa1": 0.5}
    charts._draw_marks(ax, 0, "d", [Point(**given, interval=(0.25, 0.625))])
    assert [list(line.get_ydata()) for line in ax.lines] == [[50.0], [25.0, 62.5]]
    assert ax.lines[-1].get_marker() == "_"
    ax = axes()
    charts._draw_marks(ax, 0, "d", [Point(**given)])
    assert [list(line.get_ydata()) for line in ax.lines] == [[50.0]]


def test_intervals_of_equal_accuracy_are_told_apart():
    """The last one hides the lines below it, not their ends: each is wider than those before."""
    ax = axes()
    for index, name in enumerate("abc"):
        one = Point(attack="a", defense=name, accuracy=1.0, aa1=0.5, interval=(0.25, 0.75))
        charts._draw_marks(ax, index, name, [one])
    ends = [line for line in ax.lines if line.get_marker() == "_"]
    assert len({line.get_color() for line in ends}) == 3
    widths = [line.get_markersize() for line in ends]
    assert widths == sorted(set(widths)) and len(widths) == 3


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (["none", "control", "trapmid"], 1),
        (["x" * 45, *["x" * 10] * 3, *["x" * 19] * 3], 2),
        (["x" * 45, *["x" * 10] * 3, *["x" * 65] * 3], 1),  # would be cut at both ends
    ],
)
def test_a_legend_has_two_columns_where_they_fit(names: list[str], columns: int) -> None:
    assert charts._columns(names) == columns
