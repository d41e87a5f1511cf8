"""The report: a list of sections, written once as Markdown, of which the HTML file is made.

What is shown is decided in `sections`; how it looks is in style.css. No number is computed here but
means and deviations over seeds.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from trapmid.report import leaderboard, markdown, model_cards, scores_table, webpage
from trapmid.report.blocks import Section
from trapmid.report.findings import Findings
from trapmid.report.sections import attacks, costs, protocol, recovered, study, trapdoors, verdict

_FOOTER = """\
---

Made by `dvc repro`. Rates are shares of all reconstructions. No number on this page was typed by \
hand; the scores behind it are in `reports/scores` and `reports/scores.csv`, their means in \
`reports/metrics.json`.
"""


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
    text = "\n\n".join(parts)
    title = f"trapmid: report of profile {found.params['profile']}"
    return Pages(webpage.page(title, text, found.pictures), text)


def files(found: Findings, root: Path) -> dict[str, bytes]:
    """The report and what else is written from the same findings, by path under reports/.

    Args:
        found: the study.
        root: the folder of params.yaml, in which data/ is.
    """
    pages = render(found)
    digests = {row: leaderboard.digests(root, row) for row in found.params["attack_runs"]}
    return {
        "report.html": pages.html.encode(),
        "report.md": pages.markdown.encode(),
        "scores.csv": scores_table.tidy(found.inputs, found.metrics).encode(),
        **leaderboard.entries(found.inputs, digests),
        **model_cards.cards(found),
    }


def sections(found: Findings) -> list[Section]:
    """All sections in the order of the report; one without content is left out."""
    every = (
        study.question(),
        attacks.attacks(found),
        recovered.recovered(found),
        recovered.attributes(found),
        trapdoors.signatures(found),
        trapdoors.trapdoors(found),
        verdict.checks(found),
        attacks.published(found),
        protocol.protocol(found),
        costs.costs(found),
        verdict.limits(found),
    )
    return [one for one in every if one.blocks]
