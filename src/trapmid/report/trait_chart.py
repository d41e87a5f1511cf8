"""The chart of attribute leakage: per group of parameters a dot between floor and ceiling."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trapmid.report.canvas import GREY, PALETTE, finish, png
from trapmid.report.leakage import CHANCE, Trait
from trapmid.report.names import trait as named

_LEAST = 35.0  # percent: the left end of the axis, left of what chance gives


def draw(title: str, traits: Sequence[Trait], undefended: Sequence[Trait] = ()) -> bytes:
    """A PNG, narrow enough for a phone.

    Args:
        title: above the chart.
        traits: the lines, the first one on top.
        undefended: the same groups without a defence, for comparison; may be empty.
    """
    figure = Figure(figsize=(4.3, 1.5 + 0.27 * len(traits)), layout="constrained")
    figure.suptitle(title, fontsize=10)
    ax = figure.subplots()
    for row, trait in enumerate(traits):
        _draw_range(ax, row, trait)
    _draw_others(ax, [trait.name for trait in traits], undefended)
    for row, trait in enumerate(traits):
        _draw_dot(ax, row, trait)
    ax.axvline(100 * CHANCE, color=GREY, linewidth=1, linestyle=":", label="chance")
    _name_axes(ax, traits)
    _legend(figure, ax)
    return png(figure)


def _draw_range(ax: Axes, row: int, trait: Trait) -> None:
    """From what random latents get to what real images show."""
    if trait.floor is not None and trait.ceiling is not None:
        ax.plot([100 * trait.floor, 100 * trait.ceiling], [row] * 2, color="#dddddd", linewidth=5)
    ends = ((trait.floor, "|", "floor: random latents"), (trait.ceiling, "D", "ceiling: real"))
    for value, marker, label in ends:
        if value is not None:
            size = 9 if marker == "|" else 4
            ax.plot(
                [100 * value], [row], marker, color=GREY, markersize=size, label=_once(ax, label)
            )


def _draw_others(ax: Axes, names: Sequence[str], undefended: Sequence[Trait]) -> None:
    """A ring where the undefended target's attack gets."""
    for trait in undefended:
        if trait.name in names and trait.leaked.value is not None:
            ax.plot(
                [100 * trait.leaked.value],
                [names.index(trait.name)],
                "o",
                markerfacecolor="white",
                markeredgecolor=PALETTE[0],
                markersize=6,
                label=_once(ax, "without a defence"),
            )


def _draw_dot(ax: Axes, row: int, trait: Trait) -> None:
    """The attack's images, with the interval as a line."""
    if trait.leaked.value is None:
        return
    if trait.leaked.interval is not None:
        ends = [100 * trait.leaked.interval.low, 100 * trait.leaked.interval.high]
        ax.plot(ends, [row] * 2, color=PALETTE[2], linewidth=1.4)
    ax.plot(
        [100 * trait.leaked.value],
        [row],
        "s",
        color=PALETTE[2],
        markersize=6,
        label=_once(ax, "reconstructions"),
    )


def _once(ax: Axes, label: str) -> str:
    """The label for the legend; one that it has already is not repeated."""
    return "_" if label in ax.get_legend_handles_labels()[1] else label


def _name_axes(ax: Axes, traits: Sequence[Trait]) -> None:
    labels = [named(one.name) if one.readable else f"({named(one.name)})" for one in traits]
    ax.set_yticks(range(len(traits)), labels, fontsize=9)
    ax.set_ylim(len(traits) - 0.4, -0.6)
    lows = [100 * one.leaked.interval.low for one in traits if one.leaked.interval is not None]
    ax.set_xlim(min([_LEAST, *(low - 2 for low in lows)]), 102)
    ax.set_xticks((50, 75, 100))
    ax.set_xlabel("other people who are farther away (%)", fontsize=9)
    finish(ax, lines="x")


def _legend(figure: Figure, ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, frameon=False, loc="outside lower center", ncols=2)
