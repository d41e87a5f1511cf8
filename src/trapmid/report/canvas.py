"""What all charts are drawn with: colours, marks, panels, a legend; PNG bytes at the end.

Colours are those of Okabe and Ito (2008), which people with any colour vision can tell apart; no
chart depends on colour alone.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Iterable
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

PALETTE = ("#D55E00", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#444444")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STYLES = ("-", "--", "-.", ":")
GREY = "#444444"
_LETTERS = 26  # of a line of a name beside an axis
_PANELS = 3  # side by side


def panels(attacks: Iterable[str], height: float) -> tuple[Figure, dict[str, Axes]]:
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


def legend(
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


def wrapped(name: str) -> str:
    """A name in lines that leave room for the chart beside it."""
    return textwrap.fill(name, _LETTERS)


def finish(ax: Axes, lines: Literal["x", "y"] = "y") -> None:
    """Takes away what says nothing, and draws thin lines for the eye along one axis."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis=lines, color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)


def png(figure: Figure) -> bytes:
    """The chart as it goes into a file."""
    # Figure without pyplot draws with Agg: no display, no global state. Without the Software entry
    # the bytes do not change with matplotlib's version number.
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
    return stream.getvalue()
