"""All scores, curves, pictures -> reports/metrics.json, summary.json, the report, cards, tables."""

from __future__ import annotations

from pathlib import Path

import _stage
from trapmid.artifacts import checkpoints
from trapmid.artifacts.checkpoints import write_atomically
from trapmid.config import params
from trapmid.config.evaluation import Checks
from trapmid.profiles.seeds import check_rows
from trapmid.report import figures, findings, grids, inputs, leaks, page, people, summary, worst
from trapmid.report.differences import shares as shares_of
from trapmid.scoring import checks, study_checks

REPORTS = Path("reports")
CHARTS = ("attack_runs", "attributes", "comparison", "curves")
OTHERS = ("samples", "signatures", "training", "worst")
OUTS = ("leaderboard", "model_cards", *(f"figures/{name}" for name in CHARTS + OTHERS))


def main() -> None:
    study = _stage.load_params()
    study.asked.add("")  # the report states every value
    check_rows(study)
    scored = {r: checkpoints.load(Path(f"data/scored/{r}.pt")) for r in study["attack_runs"]}
    cosines = {row: one["signature_scores"] for row, one in scored.items()}
    found = inputs.read(study, Path(), cosines, people.looks(study, Path(), scored))
    bounds = params.build(Checks, params.section(study, "checks"), "checks")
    scores = (found.evaluators, found.targets, found.attack_runs)
    verdicts = study_checks.study(*scores, bounds, found.judges)
    shares = shares_of(scored)
    metrics = summary.summarise(study, *scores, checks.verdicts(verdicts), shares, found.judges)
    charts = figures.draw_all(found, metrics) | grids.samples(study, Path())
    charts |= grids.reconstructions(study, Path(), found.attack_runs, scored)
    strongest = worst.strongest(metrics)
    charts |= leaks.draw(study, Path(), strongest, scored)
    detail = {check.name: check.detail for check in verdicts}
    lines = findings.check_lines(found, metrics["checks"], checks.EXPLANATIONS, detail)
    pictures = {**found.pictures, **charts}
    exposed = people.exposed(study, Path(), strongest, scored)
    every = findings.Findings(
        inputs=found, metrics=metrics, pictures=pictures, checks=lines, exposed=exposed
    )
    texts = page.files(every, Path())
    for name in OUTS:  # even if empty
        (REPORTS / name).mkdir(parents=True, exist_ok=True)
    for path, content in (charts | figures.curves(found) | texts).items():
        write_atomically(REPORTS / path, content)
    _stage.write_record(REPORTS / "metrics.json", metrics)
    _stage.write_json(REPORTS / "summary.json", summary.headline(metrics))


if __name__ == "__main__":
    _stage.run(main)
