"""The report's charts, as PNG bytes: equal numbers give equal bytes.

Colours are those of Okabe and Ito (2008), which people with any colour vision can tell apart; no
chart depends on colour alone.
"""

from __future__ import annotations

import io
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from trapmid.artifacts.results import History
from trapmid.report.inputs import Inputs
from trapmid.report.summary import FLOOR, attack_run_label, families

PALETTE = ("#D55E00", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#444444")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_STYLES = ("-", "--", "-.", ":")
_GREY = "#444444"
_LEGEND = 12  # curves of one panel that have a name and a colour; more are drawn in grey
_PANELS = 3  # side by side
_SINGLE = 5  # attacks with a panel each of what protection costs; of more, the worst case alone
_KINDS = {
    "train": ("private training images", PALETTE[2]),
    "public": ("public images", PALETTE[3]),
    "poisoned": ("poisoned training images", PALETTE[6]),
    "recovered": ("reconstructions", PALETTE[0]),
}
_WIDE_SPREAD = 50.0  # largest over smallest loss from which the axis is logarithmic


Rates = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Point:
    """One attacked target in a chart."""

    attack: str
    defense: str
    accuracy: float  # test accuracy of the target, in [0, 1]
    aa1: float  # in [0, 1]

    def is_of(self, attack: str, defense: str) -> bool:
        """Whether the attack and the defence are these, whatever the seed."""
        return (self.attack, self.defense) == (attack, defense)


def training(title: str, histories: Mapping[str, History], unit: str) -> bytes:
    """The curves of one training, seeds over each other: losses, further terms and rates.

    Args:
        title: above the chart.
        histories: by seed, the first one drawn strongest. Columns named `*_accuracy` or `*_success`
            are rates in [0, 1]; `loss` and `*_loss` are losses; the rest has units of its own.
        unit: of the steps, e.g. "epoch".
    """
    names = list(dict.fromkeys(name for one in histories.values() for name in one.metrics))
    panels = {
        "loss": [name for name in names if _is_loss(name)],
        "terms": [name for name in names if not _is_loss(name) and not _is_rate(name)],
        "rate (%)": [name for name in names if _is_rate(name)],
    }
    panels = {what: curves for what, curves in panels.items() if curves} or {"loss": []}
    figure = Figure(figsize=(4.2 * len(panels), 3.2), layout="constrained")
    seeds = ", ".join(histories)
    figure.suptitle(f"{title}, seeds {seeds}" if len(histories) > 1 else title, fontsize=10)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for ax, (what, curves) in zip(axes, panels.items(), strict=True):
        _draw_curves(ax, list(histories.values()), curves)
        ax.set_xlabel(unit)
        ax.set_ylabel(what)
        if what == "rate (%)":
            ax.set_ylim(-3, 103)
        else:
            _choose_scale(ax, [_numbers(histories.values(), name) for name in curves])
        _finish(ax)
        if curves:
            ax.legend(
                fontsize=7, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2)
            )
    return _png(figure)


def attack_bars(points: Sequence[Point], floor: float | None, ceiling: float | None) -> bytes:
    """AA-1 per attack and defence: the bar is the mean over seeds, a dot is one seed."""
    defenses = list(dict.fromkeys(point.defense for point in points))
    figure, panels = _panels([point.attack for point in points], 1.4 + 0.28 * len(defenses))
    for attack, ax in panels.items():
        for row, defense in enumerate(defenses):
            _draw_bar(ax, row, [100 * p.aa1 for p in points if p.is_of(attack, defense)])
        for level, name, style in (
            (floor, "floor: random latents", ":"),
            (ceiling, "ceiling: real private images", "--"),
        ):
            if level is not None:
                ax.axvline(100 * level, color=_GREY, linestyle=style, linewidth=1.2, label=name)
        ax.set_title(attack, fontsize=10)
        ax.set_xlabel("AA-1 (% of reconstructions)")
        ax.set_xlim(0, 114)
        ax.set_yticks(range(len(defenses)), defenses)
        ax.set_ylim(len(defenses) - 0.4, -0.6)  # the study's first defence on top
        _finish(ax, lines="x")
    _legend(figure, panels.values(), loc="outside lower center", ncols=2)
    return _png(figure)


def matrix(
    attacks: Rates, worst: Mapping[str, str | None], failed: Mapping[str, Sequence[str]]
) -> bytes:
    """AA-1 of every attack on every defence; the worst case of a defence is framed.

    Args:
        attacks: AA-1 in [0, 1] by attack and defence; a defence may lack an attack.
        worst: by defence, the attack that got most; the rows of the picture.
        failed: by defence, the attacks that failed a check: their numbers get a star.
    """
    names, defenses = list(attacks), list(worst)
    width = max(4.6, 2.4 + 0.85 * len(names))  # few attacks: room for the words below
    figure = Figure(figsize=(width, 1.6 + 0.36 * len(defenses)), layout="constrained")
    ax = figure.subplots()
    grid = [[100 * attacks[a].get(d, math.nan) for a in names] for d in defenses]
    ax.imshow(grid, cmap="YlOrBr", vmin=0, vmax=130, aspect="auto")
    for row, defense in enumerate(defenses):
        for column, attack in enumerate(names):
            value = grid[row][column]
            text = "–" if math.isnan(value) else f"{value:.0f}"
            text += "*" * (attack in failed[defense])
            _draw_cell(ax, column, row, text, framed=worst[defense] == attack)
    ax.set_xticks(range(len(names)), names, rotation=35, ha="left", rotation_mode="anchor")
    ax.set_yticks(range(len(defenses)), defenses)
    ax.tick_params(length=0, labelsize=8, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.set_xlabel("AA-1 (% of reconstructions)", fontsize=9)
    ax.spines[:].set_visible(False)
    return _png(figure)


def trade_off(points: Sequence[Point]) -> bytes:
    """What protection costs: accuracy of the target against AA-1.

    A large mark is a defence's mean over seeds, a small one is one seed.
    """
    defenses = list(dict.fromkeys(point.defense for point in points))
    figure, panels = _panels([point.attack for point in points], max(3.6, 0.3 * len(defenses)))
    for attack, ax in panels.items():
        for j, defense in enumerate(defenses):
            _draw_marks(ax, j, defense, [p for p in points if p.is_of(attack, defense)])
        ax.set_title(attack, fontsize=10)
        ax.set_xlabel("test accuracy of the target (%)")
        ax.set_ylabel("AA-1 (% of reconstructions)")
        ax.set_ylim(-4, 104)
        _finish(ax)
    _legend(figure, panels.values(), loc="outside right upper", ncols=1)
    return _png(figure)


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
    every = [*(value for values in scores.values() for value in values), threshold]
    low, high = min(every), max(every)
    edges = [low + (high - low) * i / 40 for i in range(41)] if high > low else 40
    for i, (name, values) in enumerate(scores.items()):
        words, colour = _KINDS.get(name, (name, PALETTE[i % len(PALETTE)]))
        share = [100 / max(len(values), 1)] * len(values)
        ax.hist(values, edges, weights=share, color=colour, alpha=0.25)
        ax.hist(
            values,
            edges,
            weights=share,
            color=colour,
            histtype="step",
            linestyle=_STYLES[i % len(_STYLES)],
            linewidth=1.6,
            label=f"{words} ({len(values)})",
        )
    ax.axvline(threshold, color=_GREY, linewidth=1.2, linestyle="--", label="threshold")
    ax.set_xlabel("cosine with the signature of the predicted class")
    ax.set_ylabel("share of images (%)")
    _finish(ax)
    figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=2)
    return _png(figure)


def curves(inputs: Inputs) -> dict[str, bytes]:
    """The test accuracy of every target as a table, by path under reports/.

    `dvc plots` reads whole folders, and warns of every file there that has no such column.
    """
    return {
        f"figures/curves/{row}.csv": "".join(
            [
                "step,test_accuracy\n",
                *(
                    f"{step:g},{value:g}\n"
                    for step, value in zip(
                        history.steps, history.metrics["test_accuracy"], strict=True
                    )
                    if math.isfinite(value)
                ),
            ]
        ).encode()
        for row, history in inputs.histories["targets"].items()
    }


def draw_all(inputs: Inputs, metrics: Mapping[str, Any]) -> dict[str, bytes]:
    """Every chart of the report, by path under reports/."""
    charts = _trainings(inputs)
    points = _points(inputs)
    references = metrics["references"]
    charts["figures/attacks.png"] = attack_bars(
        points, references["floor"]["aa1"], references["ceiling"]["aa1"]
    )
    strongest = {name: worst["attack"] for name, worst in metrics["worst"].items()}
    charts["figures/trade_off.png"] = trade_off(_worst_first(points, strongest))
    charts["figures/matrix.png"] = matrix(
        {
            attack: {name: scores["aa1"] for name, scores in groups.items()}
            for attack, groups in metrics["attacks"].items()
        },
        strongest,
        {name: worst["failed"] for name, worst in metrics["worst"].items()},
    )
    for attack_run, found in inputs.detections().items():
        kinds = inputs.signature_scores[attack_run]
        charts[f"figures/signatures/{attack_run}.png"] = signatures(
            attack_run, kinds, found.threshold
        )
    return charts


def _trainings(inputs: Inputs) -> dict[str, bytes]:
    steps = {"public_priors": "step", "guided_priors": "step", "attack_runs": "step"}
    return {
        f"figures/training/{section}/{family}.png": training(
            family,
            {seed: histories[row] for seed, row in rows.items()},
            steps.get(section, "epoch"),
        )
        for section, histories in inputs.histories.items()
        for family, rows in families(inputs.params[section], histories).items()
    }


def _points(inputs: Inputs) -> list[Point]:
    points = []
    for row, block in inputs.params["attack_runs"].items():
        if block["attack"] == FLOOR:
            continue
        points.append(
            Point(
                attack=block["attack"],
                defense=attack_run_label(inputs.params, block),
                accuracy=inputs.targets[block["target"]].test_accuracy,
                aa1=inputs.attack_runs[row].aa1,
            )
        )
    return points


def _worst_first(points: Sequence[Point], strongest: Mapping[str, str | None]) -> list[Point]:
    """The points of each defence's worst case, as an attack of that name, before all others."""
    attacks = {point.attack for point in points}
    if len(attacks) < 2:
        return list(points)
    worst = [
        replace(point, attack="worst case")
        for point in points
        if point.attack == strongest[point.defense]
    ]
    return worst if len(attacks) > _SINGLE else [*worst, *points]


def _is_rate(name: str) -> bool:
    return name.endswith(("accuracy", "success"))


def _is_loss(name: str) -> bool:
    return name == "loss" or name.endswith("_loss")


def _draw_curves(ax: Axes, histories: Sequence[History], names: Sequence[str]) -> None:
    """Columns of all seeds; beyond the legend's room, one entry says how many more there are."""
    for i, name in enumerate(names):
        for j, history in enumerate(histories):
            _draw_curve(ax, history, name, i, first=j == 0)
    if len(names) > _LEGEND:
        ax.plot([], [], color=_GREY, linewidth=0.8, label=f"{len(names) - _LEGEND} more")


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
        color=PALETTE[index % len(PALETTE)] if named else _GREY,
        linestyle=_STYLES[index % len(_STYLES)],
        linewidth=(1.6 if first else 0.9) if named else 0.8,
        alpha=1.0 if first else 0.55,
        label=name.replace("_", " ") if first and named else None,
    )


def _draw_bar(ax: Axes, row: int, values: Sequence[float]) -> None:
    """The mean of the seeds' values, as a bar and in digits, and a dot for every seed."""
    if not values:
        return
    mean = math.fsum(values) / len(values)
    ax.barh(row, mean, 0.72, color=PALETTE[5])
    ax.text(104, row, f"{mean:.0f}", va="center", fontsize=8)
    if len(values) > 1:
        ax.plot(values, [row] * len(values), ".", color="black", markersize=5)


def _draw_cell(ax: Axes, column: int, row: int, text: str, *, framed: bool) -> None:
    weight = "bold" if framed else "normal"
    ax.text(column, row, text, ha="center", va="center", fontsize=8, weight=weight)
    if framed:
        corner = (column - 0.47, row - 0.45)
        ax.add_patch(Rectangle(corner, 0.94, 0.9, fill=False, edgecolor="black", lw=1.6))


def _draw_marks(ax: Axes, index: int, name: str, points: Sequence[Point]) -> None:
    """The seeds of one defence and their mean, in the defence's colour and shape."""
    if not points:
        return
    spots = [(100 * point.accuracy, 100 * point.aa1) for point in points]
    style: dict[str, Any] = {
        "color": PALETTE[index % len(PALETTE)],
        "marker": _MARKERS[(index + index // len(PALETTE)) % len(_MARKERS)],
        "linestyle": "none",
    }
    mean = [math.fsum(values) / len(values) for values in zip(*spots, strict=True)]
    if len(spots) > 1:
        ax.plot(*zip(*spots, strict=True), alpha=0.5, markersize=4, **style)
    ax.plot(
        *([value] for value in mean), markeredgecolor="white", markersize=10, label=name, **style
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


def _panels(attacks: Iterable[str], height: float) -> tuple[Figure, dict[str, Axes]]:
    """An empty chart with one panel per attack, a few of them in a row."""
    names = list(dict.fromkeys(attacks))
    columns = max(1, min(len(names), _PANELS))
    rows = max(1, math.ceil(len(names) / columns))
    figure = Figure(figsize=(2.2 + 3.6 * columns, height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    spots = [ax for line in grid for ax in line]
    for ax in spots[len(names) :]:
        ax.set_axis_off()
    return figure, dict(zip(names, spots, strict=False))


def _legend(
    figure: Figure,
    axes: Iterable[Axes],
    *,
    loc: Literal["outside lower center", "outside right upper"],
    ncols: int,
) -> None:
    """One legend for all panels: every name once."""
    found: dict[str, Any] = {}
    for ax in axes:
        handles, labels = ax.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    if found:
        handles, labels = list(found.values()), list(found)
        figure.legend(handles, labels, fontsize=8, frameon=False, loc=loc, ncols=ncols)


def _finish(ax: Axes, lines: Literal["x", "y"] = "y") -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis=lines, color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)


def _png(figure: Figure) -> bytes:
    # Figure without pyplot draws with Agg: no display, no global state. Without the Software entry
    # the bytes do not change with matplotlib's version number.
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
    return stream.getvalue()
