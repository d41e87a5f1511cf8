"""All scores, curves and pictures -> reports/metrics.json, summary.json and the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import _stage
from trapmid import checkpoints, checks, params
from trapmid.checkpoints import write_atomically
from trapmid.criteria import Checks
from trapmid.report import comparison, figures, inputs, page, summary

REPORTS = Path("reports")


def main() -> None:
    study = _stage.load_params()
    scored = {cell: checkpoints.load(Path(f"data/scored/{cell}.pt")) for cell in study["cells"]}
    cosines = {cell: content["signature_scores"] for cell, content in scored.items()}
    found = inputs.read(study, Path(), cosines)
    bounds = params.build(Checks, params.section(study, "checks"), "checks")
    scores = (found.evaluators, found.targets, found.cells)
    verdicts = checks.study(*scores, bounds)
    metrics = summary.summarise(study, *scores, checks.verdicts(verdicts))
    charts = figures.draw_all(found, metrics) | _comparisons(study, scored)
    details = {check.name: check.detail for check in verdicts}
    lines = page.check_lines(found, metrics["checks"], checks.EXPLANATIONS, details)
    pages = page.render(found, metrics, charts, lines)
    for name in ("comparison", "curves", "signatures", "training"):  # outs, even if empty
        (REPORTS / "figures" / name).mkdir(parents=True, exist_ok=True)
    texts = {"report.html": pages.html.encode(), "report.md": pages.markdown.encode()}
    for path, content in (charts | figures.curves(found) | texts).items():
        write_atomically(REPORTS / path, content)
    _stage.write_record(REPORTS / "metrics.json", metrics)
    _stage.write_json(REPORTS / "summary.json", summary.headline(metrics))


def _comparisons(study: dict[str, Any], scored: dict[str, Any]) -> dict[str, bytes]:
    """One picture per attack: what it made of the first seed's targets."""
    pictures = {}
    for attack, cells in summary.side_by_side(study).items():
        private = checkpoints.load(Path(f"data/prepared/{cells.data}/private.pt"))
        made = {}
        for defense, cell in cells.by_defense.items():
            found = checkpoints.load(Path(f"data/reconstructions/{cell}.pt"))
            hit = scored[cell]["hit"]
            images, labels, answered = (found[key] for key in ("images", "labels", "found"))
            made[defense] = comparison.Made(images, labels, hit, answered)
        real = (private["train_images"], private["train_labels"])
        shown = study["evaluation"]["grid_identities"]
        pictures[f"figures/comparison/{attack}.png"] = comparison.compare(
            attack, *real, made, shown
        )
    return pictures


if __name__ == "__main__":
    _stage.run(main)
