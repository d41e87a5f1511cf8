"""Charts of scores as PNG bytes: equal numbers give equal bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from trapmid.report import names
from trapmid.report.canvas import (
    GREY,
    MARKERS,
    PALETTE,
    STYLES,
    finish,
    legend,
    panels,
    png,
    wrapped,
)
from trapmid.report.marks import Marks

_KINDS = {
    "train": ("private training images", PALETTE[2]),
    "public": ("public images", PALETTE[3]),
    "poisoned": ("poisoned training images", PALETTE[6]),
    "recovered": ("reconstructions", PALETTE[0]),
}

_ROOM = 90.0  # percent: longer bars have their digits inside
_DIGITS = 12.0  # percent that the digits take

_LEGEND = 75  # letters of two names that fit beside each other below a chart
_END, _WIDER = 8.0, 3.0  # points: how wide an interval's ends are, and each next defence's

Rates = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Point:
    """One attacked target in a chart."""

    attack: str  # its name
    defense: str  # its name
    accuracy: float  # test accuracy of the target, in [0, 1]
    aa1: float  # in [0, 1]
    interval: tuple[float, float] | None = None  # of the mean of its attack and defence, in [0, 1]
    across: tuple[float, float] | None = None  # of the mean accuracy of its defence, in [0, 1]
    mark: str = ""  # behind the mean of its attack and defence: `Marks.behind`

    def is_of(self, attack: str, defense: str) -> bool:
        """Whether the attack and the defence are these, whatever the seed."""
        return (self.attack, self.defense) == (attack, defense)


def attack_bars(points: Sequence[Point], floor: float | None, ceiling: float | None) -> bytes:
    """AA-1 per attack and defence: a bar is the mean over seeds, its line the interval of that.

    Of several seeds, a dot is one.
    """
    defenses = list(dict.fromkeys(point.defense for point in points))
    figure, axes = panels([point.attack for point in points], 1.4 + 0.34 * len(defenses))
    for attack, ax in axes.items():
        for row, defense in enumerate(defenses):
            _draw_bar(ax, row, [point for point in points if point.is_of(attack, defense)])
        _draw_level(ax, floor, "floor: random latents", ":")
        _draw_level(ax, ceiling, "ceiling: real private images", "--")
        ax.set_title(attack, fontsize=10)
        ax.set_xlabel("AA-1 (% of reconstructions)")
        ax.set_xlim(0, 101)
        ax.set_xticks((0, 50, 100))
        ax.set_yticks(range(len(defenses)), [wrapped(defense) for defense in defenses])
        ax.set_ylim(len(defenses) - 0.4, -0.6)  # the study's first defence on top
        finish(ax, lines="x")
    legend(figure, axes.values(), loc="outside lower center", ncols=2)
    return png(figure)


def matrix(attacks: Rates, worst: Mapping[str, str | None], marks: Marks) -> bytes:
    """AA-1 of every attack on every defence; the worst case of a defence is framed.

    Args:
        attacks: AA-1 in [0, 1] by the codes of attack and defence; a defence may lack an attack.
        worst: by defence, the attack that got most; the rows of the picture.
        marks: the numbers that get a star or a dagger, and where evaluators are named.
    """
    codes, defenses, named = list(attacks), list(worst), marks.named()
    column = 1.2 if named.cells else 0.85  # room for the name of an evaluator
    width = max(4.6, 2.4 + column * len(codes))  # few attacks: room for the words below
    figure = Figure(figsize=(width, 1.6 + 0.36 * len(defenses)), layout="constrained")
    ax = figure.subplots()
    grid = [[100 * attacks[a].get(d, math.nan) for a in codes] for d in defenses]
    ax.imshow(grid, cmap="YlOrBr", vmin=0, vmax=130, aspect="auto")
    for row, defense in enumerate(defenses):
        for column, attack in enumerate(codes):
            value = grid[row][column]
            text = "–" if math.isnan(value) else f"{value:.1f}"
            text += marks.behind(attack, defense)
            if judges := named.cells.get((attack, defense)):
                text += f"\n{judges}"
            _draw_cell(ax, column, row, text, framed=worst[defense] == attack)
    _name_both_sides(
        ax,
        [named.attacks.get(code, names.attack(code)) for code in codes],
        [wrapped(named.defenses.get(code, names.defense(code))) for code in defenses],
    )
    ax.set_xlabel("AA-1 (% of reconstructions)", fontsize=9)
    return png(figure)


def trade_off(points: Sequence[Point]) -> bytes:
    """What protection costs: accuracy of the target against AA-1 of the strongest attack.

    A large mark is a defence's mean over seeds, a small one is one seed. What stands behind AA-1 in
    tables stands beside the large mark, and in the legend. The accuracy's axis ends where the
    study's targets and their intervals do, and at 100 %.

    Args:
        points: of every defence its strongest attack, whatever the attack.
    """
    defenses = list(dict.fromkeys(point.defense for point in points))
    columns = _columns(defenses)
    lines = math.ceil(len(defenses) / columns)
    figure = Figure(figsize=(5.6, 2.6 + 0.24 * lines), layout="constrained")
    ax = figure.subplots()
    for i, defense in enumerate(defenses):
        _draw_marks(ax, i, defense, [point for point in points if point.defense == defense])
    ends = [end for point in points for end in point.across or ()]
    _limit_accuracy(ax, [100 * one for one in [*(point.accuracy for point in points), *ends]])
    ax.set_xlabel("test accuracy (%), higher is more useful")
    ax.set_ylabel("AA-1 (%), lower is more private")
    ax.set_ylim(-4, 104)
    ax.set_yticks(range(0, 101, 20))
    finish(ax)
    legend(figure, [ax], loc="outside lower center", ncols=columns)
    return png(figure)


def _columns(names: Sequence[str]) -> int:
    """Of a legend below a chart: two where many names fit beside each other, half in each."""
    half = math.ceil(len(names) / 2)
    sides = (names[:half], names[half:])
    letters = sum(max(map(len, side), default=0) for side in sides)
    return 2 if len(names) > 4 and letters < _LEGEND else 1


def _limit_accuracy(ax: Axes, values: Sequence[float]) -> None:
    """Room around the values, but no tick beyond 100 %."""
    room = max(0.5, 0.12 * (max(values, default=100.0) - min(values, default=100.0)))
    low, high = min(values, default=100.0) - room, max(values, default=100.0) + room
    ticks = [round(float(tick), 6) for tick in MaxNLocator(5).tick_values(low, high)]
    ax.set_xticks([tick for tick in ticks if low <= tick <= 100])
    ax.set_xlim(low, high)


def signatures(title: str, scores: Mapping[str, Sequence[float]], threshold: float) -> bytes:
    """How strongly images carry the trapdoor's signature: one histogram per kind of image.

    Args:
        title: above the chart.
        scores: cosines in [-1, 1] by kind of image.
        threshold: the detector's cosine.
    """
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    figure.suptitle(title, fontsize=10)
    ax = figure.subplots()
    edges = _edges([*(value for values in scores.values() for value in values), threshold])
    for i, (kind, values) in enumerate(scores.items()):
        _draw_histogram(ax, i, kind, values, edges)
    ax.axvline(threshold, color=GREY, linewidth=1.2, linestyle="--", label="threshold")
    ax.set_xlabel("cosine with the signature of the predicted class")
    ax.set_ylabel("share of images (%)")
    finish(ax)
    figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=2)
    return png(figure)


def _edges(values: Sequence[float]) -> Sequence[float] | int:
    """Forty intervals between the extremes; only their number where all values are equal."""
    low, high = min(values), max(values)
    return [low + (high - low) * i / 40 for i in range(41)] if high > low else 40


def _draw_bar(ax: Axes, row: int, points: Sequence[Point]) -> None:
    """The mean of the seeds' AA-1 as a bar and in digits, its interval, a dot for every seed.

    The digits stand behind the bar, or in it where they would leave the axis.
    """
    if not points:
        beside = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        ax.text(1.5, row, "not run", va="center", fontsize=8, color=GREY, bbox=beside)
        return
    values = [100 * point.aa1 for point in points]
    mean = math.fsum(values) / len(values)
    ax.barh(row, mean, 0.72, color=PALETTE[5])
    ends = [100 * end for end in points[0].interval or ()]
    if ends:
        ax.plot(ends, [row] * 2, marker="|", markersize=_END, color=GREY, linewidth=1.2)
    drawn = [*values, *ends]
    inside = max(drawn) > _ROOM
    ax.text(
        max(min(drawn) - 1.5, _DIGITS) if inside else max(drawn) + 1.5,
        row,
        f"{mean:.1f}{points[0].mark}",
        va="center",
        ha="right" if inside else "left",
        fontsize=8,
    )
    if len(values) > 1:
        ax.plot(values, [row] * len(values), ".", color="black", markersize=5)


def _draw_level(ax: Axes, level: float | None, name: str, style: str) -> None:
    """A line across all bars, where there is such a reference."""
    if level is not None:
        ax.axvline(100 * level, color=GREY, linestyle=style, linewidth=1.2, label=name)


def _draw_histogram(
    ax: Axes, index: int, kind: str, values: Sequence[float], edges: Sequence[float] | int
) -> None:
    """One kind of image: its area pale, its outline in a style of its own."""
    words, colour = _KINDS.get(kind, (kind, PALETTE[index % len(PALETTE)]))
    share = [100 / max(len(values), 1)] * len(values)
    ax.hist(values, edges, weights=share, color=colour, alpha=0.25)
    ax.hist(
        values,
        edges,
        weights=share,
        color=colour,
        histtype="step",
        linestyle=STYLES[index % len(STYLES)],
        linewidth=1.6,
        label=f"{words} ({len(values)})",
    )


def _draw_cell(ax: Axes, column: int, row: int, text: str, *, framed: bool) -> None:
    weight = "bold" if framed else "normal"
    ax.text(column, row, text, ha="center", va="center", fontsize=8, weight=weight)
    if framed:
        corner = (column - 0.47, row - 0.45)
        ax.add_patch(Rectangle(corner, 0.94, 0.9, fill=False, edgecolor="black", lw=1.6))


def _name_both_sides(ax: Axes, columns: Sequence[str], rows: Sequence[str]) -> None:
    """Names above the columns and left of the rows of a picture, instead of axes."""
    ax.set_xticks(range(len(columns)), columns, rotation=35, ha="left", rotation_mode="anchor")
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0, labelsize=8, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.spines[:].set_visible(False)


def _draw_marks(ax: Axes, index: int, name: str, points: Sequence[Point]) -> None:
    """The seeds of one defence and their mean, in the defence's colour and shape."""
    if not points:
        return
    spots = [(100 * point.accuracy, 100 * point.aa1) for point in points]
    style: dict[str, Any] = {
        "color": PALETTE[index % len(PALETTE)],
        "marker": MARKERS[(index + index // len(PALETTE)) % len(MARKERS)],
        "linestyle": "none",
    }
    mean = [math.fsum(values) / len(values) for values in zip(*spots, strict=True)]
    if len(spots) > 1:
        ax.plot(*zip(*spots, strict=True), alpha=0.5, markersize=4, **style)
    large: dict[str, Any] = {"markeredgecolor": "white", "markersize": 10, **style}
    ax.plot(*([value] for value in mean), label=name + points[0].mark, **large)
    if points[0].across is not None:
        ends = [100 * end for end in points[0].across]
        ax.plot(ends, [mean[1]] * 2, color=style["color"], linewidth=1.2)
    if points[0].interval is not None:
        ends = [100 * end for end in points[0].interval]
        # Targets of equal accuracy stand on one line: there its ends tell their intervals apart
        width = _END + _WIDER * (index % len(PALETTE))
        line: dict[str, Any] = {"color": style["color"], "linewidth": 1.2}
        ax.plot([mean[0]] * 2, ends, marker="_", markersize=width, **line)
    if points[0].mark:
        ax.annotate(points[0].mark, (mean[0], mean[1]), (6, 4), textcoords="offset points")
