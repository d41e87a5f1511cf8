"""The report: a list of sections, written once as Markdown, of which the HTML file is made.

What is shown is decided in `sections`; how it looks is in style.css. No number is computed here but
means and deviations over seeds.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from trapmid.report import leaderboard, markdown, model_cards, people_table, scores_table, webpage
from trapmid.report.blocks import Section
from trapmid.report.findings import Findings
from trapmid.report.sections import (
    attacks,
    attributes,
    audited,
    compared,
    costs,
    judges,
    paper,
    people,
    protocol,
    recovered,
    robustness,
    study,
    trapdoors,
    verdict,
)

_FOOTER = """\
---

Made by `dvc repro`. Rates are shares of all reconstructions. No number on this page was typed by \
hand; the scores behind it are in `reports/scores` and `reports/scores.csv`, their means in \
`reports/metrics.json`.
"""


_OTHER = re.compile(r"\]\((report|paper)\.md\)")


class Pages(NamedTuple):
    """The same document twice."""

    html: str
    markdown: str


def render(found: Findings) -> Pages:
    """The report: what every defence is worth on the first screen, then what that rests on."""
    parts = [
        *map(markdown.written, verdict.front(found)),
        markdown.document(sections(found)),
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


def files(found: Findings, root: Path) -> dict[str, bytes]:
    """The report and what else is written from the same findings, by path under reports/.

    Args:
        found: the study.
        root: the folder of params.yaml, in which data/ is.
    """
    pages, beside = render(found), render_paper(found)
    digests = {row: leaderboard.digests(root, row) for row in found.params["attack_runs"]}
    return {
        "report.html": pages.html.encode(),
        "report.md": pages.markdown.encode(),
        "paper.html": beside.html.encode(),
        "paper.md": beside.markdown.encode(),
        "scores.csv": scores_table.tidy(found.inputs, found.metrics).encode(),
        people_table.FILE: people_table.table(found.exposed).encode(),
        **leaderboard.entries(found.inputs, digests, found.metrics["checks"]),
        **model_cards.cards(found),
    }


def sections(found: Findings) -> list[Section]:
    """All sections in the order of the report; one without content is left out."""
    every = (
        study.question(found, of_an_audit=audited.is_audit(found)),
        attacks.attacks(found),
        compared.compared(found),
        recovered.recovered(found),
        people.people(found),
        judges.judges(found),
        attributes.attributes(found),
        trapdoors.signatures(found),
        trapdoors.trapdoors(found),
        robustness.robustness(found),
        verdict.checks(found),
        paper.summary(found),
        protocol.protocol(found),
        costs.costs(found),
        verdict.limits(found),
    )
    return [one for one in every if one.blocks]
