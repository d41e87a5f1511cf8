"""All scores, curves and pictures -> reports/metrics.json, summary.json and the report."""

from __future__ import annotations

from pathlib import Path

import _stage
from trapmid.artifacts import checkpoints
from trapmid.artifacts.checkpoints import write_atomically
from trapmid.config import params
from trapmid.config.evaluation import Checks
from trapmid.profiles.seeds import check_rows
from trapmid.report import figures, findings, grids, inputs, page, summary
from trapmid.scoring import checks

REPORTS = Path("reports")
OUTS = ("attack_runs", "comparison", "curves", "samples", "signatures", "training")


def main() -> None:
    study = _stage.load_params()
    study.asked.add("")  # the report states every value
    check_rows(study)
    scored = {
        attack_run: checkpoints.load(Path(f"data/scored/{attack_run}.pt"))
        for attack_run in study["attack_runs"]
    }
    cosines = {attack_run: content["signature_scores"] for attack_run, content in scored.items()}
    found = inputs.read(study, Path(), cosines)
    bounds = params.build(Checks, params.section(study, "checks"), "checks")
    scores = (found.evaluators, found.targets, found.attack_runs)
    verdicts = checks.study(*scores, bounds, found.judges)
    metrics = summary.summarise(study, *scores, checks.verdicts(verdicts))
    charts = figures.draw_all(found, metrics) | grids.samples(study, Path())
    hits = {attack_run: content["hit"] for attack_run, content in scored.items()}
    charts |= grids.reconstructions(study, Path(), found.attack_runs, hits)
    details = {check.name: check.detail for check in verdicts}
    lines = findings.check_lines(found, metrics["checks"], checks.EXPLANATIONS, details)
    pages = page.render(
        findings.Findings(
            inputs=found, metrics=metrics, pictures={**found.pictures, **charts}, checks=lines
        )
    )
    for name in OUTS:  # even if empty
        (REPORTS / "figures" / name).mkdir(parents=True, exist_ok=True)
    texts = {"report.html": pages.html.encode(), "report.md": pages.markdown.encode()}
    for path, content in (charts | figures.curves(found) | texts).items():
        write_atomically(REPORTS / path, content)
    _stage.write_record(REPORTS / "metrics.json", metrics)
    _stage.write_json(REPORTS / "summary.json", summary.headline(metrics))


if __name__ == "__main__":
    _stage.run(main)
