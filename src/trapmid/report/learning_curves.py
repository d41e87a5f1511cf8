"""The curves of a training as PNG bytes: equal numbers give equal bytes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trapmid.artifacts.results import History
from trapmid.report.canvas import GREY, PALETTE, STYLES, finish, png

_LEGEND = 12  # curves of one panel that have a name and a colour; more are drawn in grey
_RATE = "rate (%)"
_WIDE_SPREAD = 50.0  # largest over smallest loss from which the axis is logarithmic


def draw(title: str, histories: Mapping[str, History], unit: str) -> bytes:
    """The curves of one training, seeds over each other: losses, further terms and rates.

    Args:
        title: above the chart.
        histories: by seed, the first one drawn strongest. Columns named `*_accuracy` or `*_success`
            are rates in [0, 1]; `loss` and `*_loss` are losses; the rest has units of its own.
        unit: of the steps, e.g. "epoch".
    """
    panels = _by_unit(histories.values())
    figure = Figure(figsize=(4.2 * len(panels), 3.2), layout="constrained")
    seeds = ", ".join(histories)
    figure.suptitle(f"{title}, seeds {seeds}" if len(histories) > 1 else title, fontsize=10)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for ax, (what, names) in zip(axes, panels.items(), strict=True):
        _draw_panel(ax, list(histories.values()), names, what)
        ax.set_xlabel(unit)
    return png(figure)


def _by_unit(histories: Iterable[History]) -> dict[str, list[str]]:
    """The columns that share an axis, by its words; one empty axis where there is no column."""
    names = list(dict.fromkeys(name for one in histories for name in one.metrics))
    panels = {
        "loss": [name for name in names if _is_loss(name)],
        "terms": [name for name in names if not _is_loss(name) and not _is_rate(name)],
        _RATE: [name for name in names if _is_rate(name)],
    }
    return {what: columns for what, columns in panels.items() if columns} or {"loss": []}


def _draw_panel(ax: Axes, histories: Sequence[History], names: Sequence[str], what: str) -> None:
    """The columns of one unit on one axis."""
    _draw_curves(ax, histories, names)
    ax.set_ylabel(what)
    if what == _RATE:
        ax.set_ylim(-3, 103)
    else:
        _choose_scale(ax, [_numbers(histories, name) for name in names])
    finish(ax)
    if names:
        ax.legend(
            fontsize=7, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2)
        )


def _draw_curves(ax: Axes, histories: Sequence[History], names: Sequence[str]) -> None:
    """Columns of all seeds; beyond the legend's room, one entry says how many more there are."""
    for i, name in enumerate(names):
        for j, history in enumerate(histories):
            _draw_curve(ax, history, name, i, first=j == 0)
    if len(names) > _LEGEND:
        ax.plot([], [], color=GREY, linewidth=0.8, label=f"{len(names) - _LEGEND} more")


def _draw_curve(ax: Axes, history: History, name: str, index: int, *, first: bool) -> None:
    """One column of one seed; steps without a finite number are left out."""
    there = [
        (step, 100 * value if _is_rate(name) else value)
        for step, value in zip(history.steps, history.metrics.get(name, history.steps), strict=True)
        if name in history.metrics and math.isfinite(value)
    ]
    named = index < _LEGEND
    ax.plot(
        [step for step, _ in there],
        [value for _, value in there],
        color=PALETTE[index % len(PALETTE)] if named else GREY,
        linestyle=STYLES[index % len(STYLES)],
        linewidth=(1.6 if first else 0.9) if named else 0.8,
        alpha=1.0 if first else 0.55,
        label=name.replace("_", " ") if first and named else None,
    )


def _numbers(histories: Iterable[History], name: str) -> list[float]:
    """The finite values of one column, of all seeds."""
    columns = (history.metrics.get(name, []) for history in histories)
    return [value for column in columns for value in column if math.isfinite(value)]


def _choose_scale(ax: Axes, curves: Iterable[list[float]]) -> None:
    """Logarithmic where a linear axis would show the largest values only."""
    curves = [curve for curve in curves if any(curve)]
    if not curves:
        return
    lowest, largest = (pick(map(pick, curves)) for pick in (min, max))
    if lowest > 0:
        if largest > _WIDE_SPREAD * lowest:
            ax.set_yscale("log")
        return
    sizes = [statistics.median(abs(value) for value in curve if value) for curve in curves]
    if max(largest, -lowest) > _WIDE_SPREAD * min(sizes):
        ax.set_yscale("symlog", linthresh=min(sizes))


def _is_rate(name: str) -> bool:
    return name.endswith(("accuracy", "success"))


def _is_loss(name: str) -> bool:
    return name == "loss" or name.endswith("_loss")
