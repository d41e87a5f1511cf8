"""All scores, curves and pictures -> reports/metrics.json, summary.json and the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import _stage
from trapmid import checkpoints, checks, params
from trapmid.checkpoints import write_atomically
from trapmid.criteria import Checks
from trapmid.report import comparison, figures, grids, inputs, page, summary

REPORTS = Path("reports")


def main() -> None:
    study = _stage.load_params()
    study.asked.add("")  # the report states every value
    scored = {cell: checkpoints.load(Path(f"data/scored/{cell}.pt")) for cell in study["cells"]}
    cosines = {cell: content["signature_scores"] for cell, content in scored.items()}
    found = inputs.read(study, Path(), cosines)
    bounds = params.build(Checks, params.section(study, "checks"), "checks")
    scores = (found.evaluators, found.targets, found.cells)
    verdicts = checks.study(*scores, bounds)
    metrics = summary.summarise(study, *scores, checks.verdicts(verdicts))
    charts = figures.draw_all(found, metrics) | grids.samples(study, Path())
    charts |= _grids(study, scored, found.cells)
    details = {check.name: check.detail for check in verdicts}
    lines = page.check_lines(found, metrics["checks"], checks.EXPLANATIONS, details)
    pages = page.render(found, metrics, charts, lines)
    for name in (
        "cells",
        "comparison",
        "curves",
        "samples",
        "signatures",
        "training",
    ):  # outs, even if empty
        (REPORTS / "figures" / name).mkdir(parents=True, exist_ok=True)
    texts = {"report.html": pages.html.encode(), "report.md": pages.markdown.encode()}
    for path, content in (charts | figures.curves(found) | texts).items():
        write_atomically(REPORTS / path, content)
    _stage.write_record(REPORTS / "metrics.json", metrics)
    _stage.write_json(REPORTS / "summary.json", summary.headline(metrics))


def _grids(
    study: dict[str, Any], scored: dict[str, Any], scores: Mapping[str, Any]
) -> dict[str, bytes]:
    """A picture per cell, and one per attack: what it made of the first seed's targets."""
    pictures = {}
    shown = study["evaluation"]["grid_identities"]
    private = {d: checkpoints.load(Path(f"data/prepared/{d}/private.pt")) for d in study["data"]}
    made = {c: checkpoints.load(Path(f"data/reconstructions/{c}.pt")) for c in study["cells"]}
    for name, row in study["cells"].items():
        content = (private[row["data"]], made[name], scores[name], scored[name]["hit"])
        pictures[f"figures/cells/{name}.png"] = grids.cell(*content, shown)
    for attack, cells in summary.side_by_side(study).items():
        real = private[cells.data]
        picture = comparison.compare(
            attack,
            real["train_images"],
            real["train_labels"],
            {
                defense: comparison.Made(
                    made[cell]["images"],
                    made[cell]["labels"],
                    scored[cell]["hit"],
                    made[cell]["found"],
                )
                for defense, cell in cells.by_defense.items()
            },
            shown,
        )
        pictures[f"figures/comparison/{attack}.png"] = picture
    return pictures


if __name__ == "__main__":
    _stage.run(main)
