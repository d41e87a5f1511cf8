"""What the scores of a study ask its classifiers and judges, as the stages of `scoring` do it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trapmid.config import params
from trapmid.planning.sizes import images
from trapmid.planning.units import Stage, plain, question

_STEPS_OF_PGD = 20
_PAPER_BALLS = 2  # in which a signature is looked for


def scores(study: Mapping[str, Any]) -> Iterator[Stage]:
    for name, row in study["evaluators"].items():
        asked, of = question(study, "evaluators", name), images(study, row["data"])
        seen = of.train + of.held + of.public
        yield Stage("evaluate_evaluator", name, ((asked, seen),), pictures=seen)
    balls = len(study["evaluation"]["robust_radii"])
    for name, row in study["targets"].items():
        asked, of = question(study, "targets", name), images(study, row["data"])
        planted = "alpha" in plain(params.of_row(study, "targets", name))
        # PGD: forward and backward to the pixels are three questions
        pgd = (balls + planted * _PAPER_BALLS) * _STEPS_OF_PGD * 3 * of.test
        seen = of.train + of.held + planted * (of.train + of.public)
        yield Stage("evaluate_target", name, ((asked, float(pgd + seen)),))
    for name in study["judges"]:
        yield Stage("evaluate_judge", name)
    for name, row in study["attack_runs"].items():
        asked = question(study, "evaluators", row["evaluator"])
        block = plain(params.of_row(study, "attack_runs", name))
        rows = asked.classes * _kept_of_each(block, study["inversion"]["images_per_class"])
        yield Stage("evaluate", name, ((asked, float(rows)),))


def _kept_of_each(block: Mapping[str, Any], each: int) -> int:
    """Images of one class that are scored: PPA has a number of its own, and so has BREP-MI."""
    if block.get("robustness"):
        return int(block["robustness"]["keep"])
    return block.get("candidates") or block.get("images_per_class") or each
