"""The report: a list of sections, written once as Markdown, of which the HTML file is made.

What is shown is decided in `sections`; how it looks is in style.css. No number is computed here but
means and deviations over seeds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from trapmid.report import markdown, webpage
from trapmid.report.blocks import Section
from trapmid.report.findings import Findings
from trapmid.report.sections import (
    attacks,
    compared,
    paper,
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


_OTHER = re.compile(r"\]\((report|paper)\.md\)")


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
    title = f"trapmid: report of profile {found.params['profile']}"
    return _pages(title, "\n\n".join(parts), found)


def render_paper(found: Findings) -> Pages:
    """The page beside the report: every number of the paper and ours."""
    parts = [*map(markdown.written, paper.front(found)), markdown.document(paper.sections(found))]
    return _pages("trapmid: the paper's numbers and ours", "\n\n".join(parts), found)


def _pages(title: str, text: str, found: Findings) -> Pages:
    """A link to the other page leads to the one of the same kind."""
    linked = _OTHER.sub(r"](\1.html)", text)
    return Pages(webpage.page(title, linked, found.pictures), text)


def sections(found: Findings) -> list[Section]:
    """All sections in the order of the report; one without content is left out."""
    every = (
        attacks.worst_case(found),
        study.question(),
        targets.targets(found),
        targets.defenses(found),
        attacks.attacks(found),
        compared.compared(found),
        paper.summary(found),
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
