"""Whether an audited model gives away more than a control: lines of an audit's first screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trapmid.config.evaluation import AUDITED, FLOOR
from trapmid.report import names
from trapmid.report.differences import WORST
from trapmid.report.markdown import anchor, escaped
from trapmid.report.sections import compared
from trapmid.report.words import signed

_VERDICTS = {"lower": "**less**", "higher": "**more**", "cannot tell": "**cannot tell**"}
_BY = {"aa1": "by AA-1", "agree": "by what all judges agree on"}
_HOLDS = (
    "That holds for these two trained networks, whose architectures may differ: it says nothing of "
    "another training, nor what a difference comes from"
)


def lines(metrics: Mapping[str, Any]) -> list[str]:
    """A line per control, each network at its worst; none in a study without comparisons.

    Args:
        metrics: the content of reports/metrics.json.
    """
    own = [
        one
        for one in metrics.get("comparisons", ())
        if (one["attack"], one["defense"]) == (WORST, AUDITED) and one["against"] != FLOOR
    ]
    controls = dict.fromkeys(str(one["against"]) for one in own)
    return [_line(name, [one for one in own if one["against"] == name]) for name in controls]


def _line(control: str, measured: Iterable[Mapping[str, Any]]) -> str:
    name = escaped(names.defense(control))
    said = "; ".join(_said(one) for one in measured)
    return (
        f"**More than the control?** Against “{name}”, person by person, each under the attack "
        f"that got most of it: {said}. {_HOLDS} "
        f"([attack by attack](#{anchor(compared.TITLE)}))."
    )


def _said(one: Mapping[str, Any]) -> str:
    """The verdict by one measure, with Holm's correction, which the interval has not."""
    within = one["these_targets"]
    ends = within["interval"]
    interval = (
        "" if ends is None else f", 95 % interval {signed(ends['low'])} to {signed(ends['high'])}"
    )
    checks = ", ".join(name.replace("_", " ") for name in one.get("doubted", ()))
    why = f"; no verdict, since a check failed: {checks}" if checks else ""
    return (
        f"{_VERDICTS[within['verdict']]} {_BY[one['measure']]} ({signed(one['difference'])} points"
        f"{interval}, {one['identities']} people{why})"
    )
