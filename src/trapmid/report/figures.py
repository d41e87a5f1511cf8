"""The report's charts, as PNG bytes: equal numbers give equal bytes.

Colours are those of Okabe and Ito (2008), which people with any colour vision can tell apart; no
chart depends on colour alone.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trapmid.report.inputs import Inputs
from trapmid.report.summary import FLOOR, cell_label
from trapmid.results import History

PALETTE = ("#D55E00", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#444444")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_STYLES = ("-", "--", "-.", ":")
_HATCHES = ("", "//", "..", "xx", "--", "++", "oo")
_KINDS = {
    "train": ("private training images", PALETTE[2]),
    "public": ("public images", PALETTE[3]),
    "poisoned": ("poisoned training images", PALETTE[6]),
    "recovered": ("reconstructions", PALETTE[0]),
}
_WIDE_SPREAD = 50.0  # largest over smallest loss from which the axis is logarithmic


@dataclass(frozen=True, kw_only=True)
class Point:
    """One attacked target in a chart."""

    attack: str
    defense: str
    accuracy: float  # test accuracy of the target, in [0, 1]
    aa1: float  # in [0, 1]


def training(title: str, history: History, unit: str) -> bytes:
    """The curves of one training: loss parts, and beside them the rates if there are any.

    Args:
        title: above the chart.
        history: rates are the columns named `*_accuracy` or `*_success`, in [0, 1].
        unit: of the steps, e.g. "epoch".
    """
    rates = {name: values for name, values in history.metrics.items() if _is_rate(name)}
    losses = {name: values for name, values in history.metrics.items() if not _is_rate(name)}
    panels = [part for part in (losses, rates) if part]
    figure = Figure(figsize=(4.2 * max(len(panels), 1), 2.9), layout="constrained")
    figure.suptitle(title, fontsize=10)
    for ax, curves in zip(
        figure.subplots(1, max(len(panels), 1), squeeze=False)[0], panels, strict=False
    ):
        for i, (name, values) in enumerate(curves.items()):
            there = [
                (s, v) for s, v in zip(history.steps, values, strict=True) if not math.isnan(v)
            ]
            ax.plot(
                [step for step, _ in there],
                [100 * v if curves is rates else v for _, v in there],
                color=PALETTE[i % len(PALETTE)],
                linestyle=_STYLES[i % len(_STYLES)],
                linewidth=1.6,
                label=name.replace("_", " "),
            )
        ax.set_xlabel(unit)
        if curves is rates:
            ax.set_ylabel("rate (%)")
            ax.set_ylim(-3, 103)
        else:
            ax.set_ylabel("loss")
            _choose_scale(ax, [v for part in curves.values() for v in part if not math.isnan(v)])
        _finish(ax)
        ax.legend(fontsize=7, frameon=False)
    return _png(figure)


def attack_bars(points: Sequence[Point], floor: float | None, ceiling: float | None) -> bytes:
    """AA-1 per attack and defence: the bar is the mean over seeds, a dot is one seed."""
    attacks = list(dict.fromkeys(point.attack for point in points))
    defenses = list(dict.fromkeys(point.defense for point in points))
    figure = Figure(
        figsize=(max(5.6, 2.4 + 0.55 * len(attacks) * len(defenses)), 3.6), layout="constrained"
    )
    ax = figure.subplots()
    width = 0.8 / max(len(defenses), 1)
    for j, defense in enumerate(defenses):
        for i, attack in enumerate(attacks):
            values = [100 * p.aa1 for p in points if p.attack == attack and p.defense == defense]
            if not values:
                continue
            x = i + (j - (len(defenses) - 1) / 2) * width
            mean = math.fsum(values) / len(values)
            ax.bar(
                x,
                mean,
                0.9 * width,
                color=PALETTE[j % len(PALETTE)],
                edgecolor="white",
                hatch=_HATCHES[j % len(_HATCHES)],
                label=defense if attack == attacks[0] else None,
            )
            ax.annotate(
                f"{mean:.0f}",
                (x, max(values)),
                (0, 4),
                textcoords="offset points",
                ha="center",
                fontsize=9,
                zorder=4,
                bbox={
                    "boxstyle": "square,pad=0.1",
                    "facecolor": "white",
                    "linewidth": 0,
                    "alpha": 0.8,
                },
            )
            if len(values) > 1:
                ax.plot([x] * len(values), values, ".", color="black", markersize=5)
    for level, name, style in (
        (floor, "floor: random latents", ":"),
        (ceiling, "ceiling: real private images", "--"),
    ):
        if level is not None:
            ax.axhline(100 * level, color="#444444", linestyle=style, linewidth=1.2, label=name)
    ax.set_xticks(range(len(attacks)), attacks)
    ax.set_xlabel("attack")
    ax.set_ylabel("AA-1 (% of reconstructions)")
    ax.set_ylim(0, 112)
    _finish(ax)
    figure.legend(fontsize=8, frameon=False, loc="outside right upper")
    return _png(figure)


def trade_off(points: Sequence[Point]) -> bytes:
    """What protection costs: accuracy of the target against AA-1, a mark per attacked target."""
    attacks = list(dict.fromkeys(point.attack for point in points))
    defenses = list(dict.fromkeys(point.defense for point in points))
    figure = Figure(figsize=(6.0, 3.6), layout="constrained")
    ax = figure.subplots()
    for j, defense in enumerate(defenses):
        for i, attack in enumerate(attacks):
            chosen = [p for p in points if p.attack == attack and p.defense == defense]
            ax.plot(
                [100 * point.accuracy for point in chosen],
                [100 * point.aa1 for point in chosen],
                _MARKERS[i % len(_MARKERS)],
                color=PALETTE[j % len(PALETTE)],
                markeredgecolor="white",
                markersize=9,
                linestyle="none",
                label=f"{attack}, {defense}",
            )
    ax.set_xlabel("test accuracy of the target (%)")
    ax.set_ylabel("AA-1 (% of reconstructions)")
    ax.set_ylim(-4, 104)
    _finish(ax)
    figure.legend(fontsize=8, frameon=False, loc="outside right upper")
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
    ax.axvline(threshold, color="#444444", linewidth=1.2, linestyle="--", label="threshold")
    ax.set_xlabel("cosine with the signature of the predicted class")
    ax.set_ylabel("share of images (%)")
    _finish(ax)
    figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=2)
    return _png(figure)


def draw_all(inputs: Inputs, metrics: Mapping[str, Any]) -> dict[str, bytes]:
    """Every chart of the report, by path under reports/."""
    steps = {"public_priors": "step", "guided_priors": "step", "cells": "step"}
    charts = {
        f"figures/training/{section}/{row}.png": training(row, history, steps.get(section, "epoch"))
        for section, rows in inputs.histories.items()
        for row, history in rows.items()
    }
    points = _points(inputs)
    references = metrics["references"]
    charts["figures/attacks.png"] = attack_bars(
        points, references["floor"]["aa1"], references["ceiling"]["aa1"]
    )
    charts["figures/trade_off.png"] = trade_off(points)
    for cell, kinds in inputs.signature_scores.items():
        threshold = inputs.cells[cell]["signature"]["threshold"]
        charts[f"figures/signatures/{cell}.png"] = signatures(cell, kinds, threshold)
    return charts


def _points(inputs: Inputs) -> list[Point]:
    points = []
    for row, block in inputs.params["cells"].items():
        if block["attack"] == FLOOR:
            continue
        points.append(
            Point(
                attack=block["attack"],
                defense=cell_label(inputs.params, block),
                accuracy=inputs.targets[block["target"]]["test_accuracy"],
                aa1=inputs.cells[row]["aa1"],
            )
        )
    return points


def _is_rate(name: str) -> bool:
    return name.endswith(("accuracy", "success"))


def _choose_scale(ax: Axes, values: Sequence[float]) -> None:
    if values and min(values) > 0 and max(values) > _WIDE_SPREAD * min(values):
        ax.set_yscale("log")


def _finish(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)


def _png(figure: Figure) -> bytes:
    # Figure without pyplot draws with Agg: no display, no global state. Without the Software entry
    # the bytes do not change with matplotlib's version number.
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
    return stream.getvalue()
