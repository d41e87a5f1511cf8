"""How the stages that score leave their numbers: with what computed them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from _stage import computed_on, write_record
from trapmid.artifacts import results
from trapmid.runtime import Runtime
from trapmid.scoring.machine import Machine
from trapmid.scoring.scores import RowScores


def write_scores(scores: RowScores, rt: Runtime) -> None:
    """Writes reports/scores/SECTION/ROW.json; `rt`: on which the scores were computed."""
    path = results.scores_path(Path(), scores.section, scores.row)
    write_record(path, replace(scores, computed_on=Machine(**computed_on(rt))).to_json())
