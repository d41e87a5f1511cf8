"""Which defence is better than which, as far as the study can tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trapmid.config.evaluation import FLOOR
from trapmid.metrics.statistics.comparisons import LEAST_SEEDS, bounded_by_draws
from trapmid.report import names
from trapmid.report.blocks import Block, Line, Section, table
from trapmid.report.findings import Findings
from trapmid.report.words import rate, signed

TITLE = "Comparisons"

_ABOUT = f"""\
The difference of a rate on the same people and seeds, in percentage points; below zero, the \
defence gives away less. The verdict is about the defence: it takes {LEAST_SEEDS} seeds and a t \
test over them. “These targets” is about the targets that were trained here, and no others: a \
permutation test over people. The 95 % interval is that of the verdict, or of these targets below \
{LEAST_SEEDS} seeds. Both p values have Holm's correction over all comparisons of a table; “≤” \
stands before one as small as the permutations that were drawn can tell; the interval has no such \
correction, so it may lie on one side of zero beside “cannot tell”. “Would find” is the least \
true difference that the test finds in four of five studies, before that correction."""

_DOUBTED = (
    "A star: a check failed ({checks}) of an attack or of the judges that are compared, so the "
    "lower rate may be that of a search that broke, or neither can be relied on. There is no "
    "verdict."
)
_HEADS = (
    *("Attack", "Defence, against", "Verdict", "These targets"),
    *("Difference", "95 % interval", "p (Holm)", "Would find", "Seeds, people"),
)


_TITLES = {
    "aa1": "**AA-1**: what the evaluator recognises.",
    "agree": "**All judges agree**: what the evaluator recognises, and every judge with a voice. "
    "The worst case is that of the attack on whose images they agree most.",
}


def compared(found: Findings) -> Section:
    """Every comparison of the study, by whose word it is; without any, no section."""
    blocks: list[Block] = [_ABOUT]
    for measure, title in _TITLES.items():
        compared = found.metrics.get("comparisons", ())
        if lines := [_line(one) for one in compared if one.get("measure", "aa1") == measure]:
            blocks += [title, table("lpllr", _HEADS, lines)]
    if doubted := {
        name for one in found.metrics.get("comparisons", ()) for name in one.get("doubted", ())
    }:
        checks = ", ".join(name.replace("_", " ") for name in sorted(doubted))
        blocks.append(_DOUBTED.format(checks=checks))
    return Section(TITLE, blocks if len(blocks) > 1 else [])


def _line(one: Mapping[str, Any]) -> Line:
    tested = one["over_seeds"] or one["these_targets"]
    ends = tested["interval"]
    return Line(
        (
            names.attack(one["attack"]) + "*" * bool(one.get("doubted")),
            f"{names.defense(one['defense'])}, against: {_reference(one['against'])}",
            *(one["verdict"], one["these_targets"]["verdict"]),
            signed(one["difference"]),
            "–" if ends is None else f"{signed(ends['low'])} to {signed(ends['high'])}",
            f"{'≤ ' * _bounded(one)}{tested['p_holm']:.2g}",
            rate(tested["detectable"], 1),
            f"{len(one['seeds'])}, {one['identities']}",
        )
    )


def _reference(name: str) -> str:
    return "random faces" if name == FLOOR else names.defense(name)


def _bounded(one: Mapping[str, Any]) -> bool:
    """Whether the p value that is shown is one that draws bound."""
    within = one["these_targets"]
    return one["over_seeds"] is None and bounded_by_draws(within["p"], one["identities"])
