"""Privacy against robustness as a chart: AA-1 of the strongest attack, by robust accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trapmid.report import names
from trapmid.report.canvas import MARKERS, PALETTE, finish, legend, panels, png
from trapmid.report.marks import Marks

PATH = "figures/robustness.png"

Range = tuple[float, float]


class Spot(NamedTuple):
    """One defence at one radius; rates in [0, 1]."""

    radius: str
    defense: str  # its name
    accuracy: float  # robust accuracy
    aa1: float  # of the strongest attack
    across: Range | None  # the interval of `accuracy`
    along: Range | None  # that of `aa1`
    mark: str  # behind `aa1`


def spots(metrics: Mapping[str, Any], marks: Marks) -> list[Spot]:
    """Every defence that was attacked, at every radius.

    Args:
        metrics: the content of reports/metrics.json.
        marks: of the study's attacks.
    """
    return [
        Spot(
            radius=radius,
            defense=names.defense(name),
            accuracy=rate,
            aa1=metrics["worst"][name]["aa1"],
            across=_ends(target, f"robust_accuracy.{radius}"),
            along=_ends(metrics["worst"][name], "aa1"),
            mark=marks.behind(metrics["worst"][name]["attack"], name),
        )
        for name, target in metrics["targets"].items()
        for radius, rate in target.get("robust_accuracy", {}).items()
        if metrics["worst"][name]["aa1"] is not None
    ]


def robustness(metrics: Mapping[str, Any], marks: Marks) -> dict[str, bytes]:
    """The chart by its path under reports/.

    Args:
        metrics: the content of reports/metrics.json.
        marks: of the study's attacks.
    """
    return {PATH: png(draw(spots(metrics, marks)))}


def draw(found: Sequence[Spot]) -> Figure:
    """A panel per radius: a mark per defence, and lines over its 95 % intervals."""
    defenses = list(dict.fromkeys(one.defense for one in found))
    figure, axes = panels([one.radius for one in found], 3.4 + 0.14 * len(defenses))
    for radius, ax in axes.items():
        for one in found:
            if one.radius == radius:
                _draw_spot(ax, one, defenses.index(one.defense))
        ax.set_title(f"radius {radius}", fontsize=10)
        ax.set_xlabel("robust accuracy (%)")
        ax.set_ylabel("AA-1 of the strongest attack (%)")
        ax.set_xlim(-4, 104)
        ax.set_ylim(-4, 104)
        ax.set_xticks(range(0, 101, 20))
        ax.set_yticks(range(0, 101, 20))
        ax.label_outer()
        finish(ax)
    legend(figure, axes.values(), loc="outside lower center", ncols=1 if len(defenses) < 5 else 2)
    return figure


def _draw_spot(ax: Axes, one: Spot, index: int) -> None:
    colour = PALETTE[index % len(PALETTE)]
    marker = MARKERS[(index + index // len(PALETTE)) % len(MARKERS)]
    x, y = 100 * one.accuracy, 100 * one.aa1
    style: dict[str, Any] = {"color": colour, "linewidth": 1.2}
    if one.across is not None:
        ax.plot([100 * end for end in one.across], [y, y], **style)
    if one.along is not None:
        ax.plot([x, x], [100 * end for end in one.along], **style)
    mark: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": "none"}
    ax.plot([x], [y], markeredgecolor="white", markersize=9, label=one.defense + one.mark, **mark)


def _ends(scores: Mapping[str, Any], name: str) -> Range | None:
    found = scores["intervals"].get(name) if "intervals" in scores else None
    return None if found is None else (found["low"], found["high"])
