"""Which defence is better than which, as far as the study can tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trapmid.metrics.statistics.comparisons import LEAST_SEEDS
from trapmid.report import names
from trapmid.report.blocks import Line, Section, table
from trapmid.report.findings import Findings
from trapmid.report.words import rate

_ABOUT = f"""\
The difference of AA-1 on the same people and seeds, in percentage points; below zero, the defence \
gives away less. The verdict is about the defence: it takes {LEAST_SEEDS} seeds and a t test over \
them. “These targets” is about the targets that were trained here, and no others: a permutation \
test over people. The 95 % interval is that of the verdict, or of these targets below \
{LEAST_SEEDS} seeds. Both p values have Holm's correction over all comparisons of the study. \
“Would find” is the least true difference that the test finds in four of five studies, before \
that correction."""

_HEADS = (
    *("Attack", "Defence, against", "Verdict", "These targets"),
    *("Difference", "95 % interval", "p (Holm)", "Would find", "Seeds, people"),
)


def compared(found: Findings) -> Section:
    """Every comparison of the study; without any, no section."""
    lines = [_line(one) for one in found.metrics.get("comparisons", ())]
    return Section("Comparisons", [_ABOUT, table("lpllr", _HEADS, lines)] if lines else [])


def _line(one: Mapping[str, Any]) -> Line:
    tested = one["over_seeds"] or one["these_targets"]
    ends = tested["interval"]
    return Line(
        (
            names.attack(one["attack"]),
            f"{names.defense(one['defense'])}, against: {names.defense(one['against'])}",
            *(one["verdict"], one["these_targets"]["verdict"]),
            _signed(one["difference"]),
            "–" if ends is None else f"{_signed(ends['low'])} to {_signed(ends['high'])}",
            f"{tested['p_holm']:.2g}",
            rate(tested["detectable"], 1),
            f"{len(one['seeds'])}, {one['identities']}",
        )
    )


def _signed(value: float) -> str:
    """In percentage points, with a sign that is no hyphen."""
    return f"{100 * value:+.1f}".replace("-", "−")
