"""Numbers as the report writes them; a dash stands for one that is not there."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trapmid.report.averages import deviation

_LONG = re.compile(r"\d+\.\d{5,}(?:e-?\d+)?")


def percent(value: float | None, digits: int = 2) -> str:
    """A share in percent, with its sign."""
    return "–" if value is None else f"{rate(value, digits)} %"


def rate(value: float | None, digits: int = 2) -> str:
    """A share as a number of percent, for a column whose head says so."""
    return "–" if value is None else f"{100 * value:.{digits}f}"


def signed(difference: float) -> str:
    """A difference of shares in percentage points, with a sign that is no hyphen."""
    return f"{100 * difference:+.1f}".replace("-", "−")


def within(text: str, ends: Mapping[str, Any] | None) -> str:
    """A number in percent with the ends of its interval, whole to keep a table narrow.

    Args:
        text: the number.
        ends: `low` and `high` as rates; None: there is no interval.
    """
    return text if ends is None else f"{text} ({rate(ends['low'], 0)}–{rate(ends['high'], 0)})"


def plain(value: float | None) -> str:
    """A number with two decimals, a small one with two digits."""
    if value is None:
        return "–"
    return f"{value:.2g}" if 0 < abs(value) < 0.01 else f"{value:.2f}"


def seconds(value: float | None) -> str:
    """A time with one decimal."""
    return "–" if value is None else f"{value:.1f}"


def whole(value: float | None) -> str:
    """A count; a mean over seeds that is none keeps one decimal."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def present(values: Sequence[float | None]) -> list[float]:
    """The values that are not null."""
    return [value for value in values if value is not None]


def mean(values: Sequence[float | None]) -> float | None:
    """The mean of the values that are not null; None where all are."""
    there = present(values)
    return math.fsum(there) / len(there) if there else None


def spread(values: Sequence[float | None], shown: Callable[[float | None], str]) -> str:
    """Mean ± population deviation (s sample deviation) over the seeds that have a number."""
    there = present(values)
    if not there:
        return shown(None)
    text, found = shown(mean(there)), deviation(there)
    notes = [f"{len(there)} of {len(values)}"] if len(there) < len(values) else []
    if found.sample is not None:
        text += f" ± {shown(found.population)}"
        notes = [f"s {shown(found.sample)}", *notes]
    return text + (f" ({'; '.join(notes)})" if notes else "")


def listed(value: Any) -> str:
    """A value of a data contract: numbers with separators, lists and mappings in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {listed(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(listed, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def shortened(text: str) -> str:
    """The text with no number of more than four decimals."""
    return _LONG.sub(lambda found: f"{float(found[0]):.4g}", text)
