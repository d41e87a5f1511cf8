"""Everything the report shows, read from the files that the stages left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from trapmid.artifacts import results
from trapmid.artifacts.results import History, ResultError
from trapmid.metrics.signature import Detection
from trapmid.report.looks import Shares
from trapmid.report.published import tables
from trapmid.report.published.tables import Published
from trapmid.scoring.scores import (
    Attacks,
    AttackScores,
    Evaluators,
    EvaluatorScores,
    Judges,
    JudgeScores,
    Targets,
    TargetScores,
    read_all,
)

Records = dict[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """One study: its parameters and its results, by row."""

    params: dict[str, Any]
    evaluators: Evaluators
    targets: Targets
    judges: Judges
    attack_runs: Attacks
    contracts: Records  # by data row
    histories: dict[str, dict[str, History]]  # by section and row; attack runs may have none
    stats: dict[str, Records]  # by section and row
    pictures: dict[str, bytes]  # PNG by path under reports/
    signature_scores: dict[str, dict[str, list[float]]]  # by attack run, then by kind of image
    looks: Mapping[str, Shares]  # by attack run
    published: Published | None  # what the paper reports
    deviations: str | None  # Markdown

    def detections(self) -> dict[str, Detection]:
        """The signature's verdict by attack run, where there are cosines to show."""
        found = {
            attack_run: self.attack_runs[attack_run].signature
            for attack_run in self.signature_scores
        }
        return {attack_run: verdict for attack_run, verdict in found.items() if verdict is not None}


def read(
    params: dict[str, Any],
    root: Path,
    signature_scores: Mapping[str, Mapping[str, Tensor]],
    looks: Mapping[str, Shares] | None = None,
) -> Inputs:
    """The files of every row of params.yaml.

    Args:
        params: params.yaml.
        root: the folder of params.yaml.
        signature_scores: cosines (n,) by attack run and kind of image; an attack run may have none.
        looks: by attack run, as `people.looks`; without them no two defences are compared.

    Raises:
        ResultError: a file is missing or malformed.
    """
    histories: dict[str, dict[str, History]] = {}
    stats: dict[str, Records] = {}
    for section in results.TRAINED:
        histories[section], stats[section] = {}, {}
        for row in params[section]:
            folder = results.training_folder(root, section, row)
            stats[section][row] = results.read_json(folder / "stats.json")
            if section != "attack_runs" or (folder / "history.csv").exists():
                histories[section][row] = results.read_history(folder / "history.csv")
    paper, deviations = root / "reports" / "paper", root / "docs" / "deviations.md"
    return Inputs(
        params=params,
        evaluators=read_all(EvaluatorScores, root, params["evaluators"]),
        targets=read_all(TargetScores, root, params["targets"]),
        judges=read_all(JudgeScores, root, params["judges"]),
        attack_runs=read_all(AttackScores, root, params["attack_runs"]),
        contracts={
            row: results.read_json(root / "reports" / "data" / f"{row}.json")
            for row in params["data"]
        },
        histories=histories,
        stats=stats,
        pictures=_pictures(params, root),
        signature_scores={
            attack_run: {kind: cosines.tolist() for kind, cosines in kinds.items()}
            for attack_run, kinds in signature_scores.items()
            if kinds
        },
        looks=looks or {},
        published=tables.read(paper) if paper.exists() else None,
        deviations=deviations.read_text(encoding="utf-8") if deviations.exists() else None,
    )


def _pictures(params: Mapping[str, Any], root: Path) -> dict[str, bytes]:
    """Samples of the prepared data."""
    reports = root / "reports"
    paths = [reports / "figures" / "data" / f"{row}.png" for row in params["data"]]
    if missing := [path for path in paths if not path.is_file()]:
        raise ResultError(f"{missing[0]}: no such file; `dvc repro` makes it")
    return {path.relative_to(reports).as_posix(): path.read_bytes() for path in paths}
