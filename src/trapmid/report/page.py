"""The report: a list of sections, written once as Markdown, of which the HTML file is made.

What is shown is decided in `sections`; how it looks is in style.css. No number is computed here but
means and deviations over seeds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from trapmid.report import markdown, webpage
from trapmid.report.blocks import Section
from trapmid.report.findings import Findings
from trapmid.report.sections import (
    attacks,
    compared,
    protocol,
    recovered,
    study,
    targets,
    trapdoors,
    verdict,
)

_FOOTER = """\
---

Rates are shares of all reconstructions. No number on this page was typed by hand; the scores \
behind it are in `reports/scores`, their means in `reports/metrics.json`.
"""


class Pages(NamedTuple):
    """The same document twice."""

    html: str
    markdown: str


def render(found: Findings) -> Pages:
    """The report: why to doubt it, the worst case, what else there is, and then that."""
    worst, *others = sections(found)
    parts = [
        *map(markdown.written, verdict.front(found)),
        markdown.document([worst]),
        _contents(others),
        markdown.document(others),
        _FOOTER,
    ]
    text = "\n\n".join(parts)
    title = f"trapmid: report of profile {found.params['profile']}"
    return Pages(webpage.page(title, text, found.pictures), text)


def sections(found: Findings) -> list[Section]:
    """All sections in the order of the report; one without content is left out."""
    every = (
        attacks.worst_case(found),
        study.question(),
        targets.targets(found),
        targets.defenses(found),
        attacks.attacks(found),
        compared.compared(found),
        recovered.recovered(found),
        trapdoors.trapdoors(found),
        verdict.checks(found),
        study.data(found),
        recovered.curves(found),
        protocol.protocol(found),
        study.costs(found),
        study.deviations(found),
    )
    return [one for one in every if one.blocks]


def _contents(listed: Iterable[Section]) -> str:
    return " · ".join(f"[{one.title}](#{markdown.anchor(one.title)})" for one in listed)
