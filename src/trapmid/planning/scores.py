"""What the scores of a study ask its classifiers and judges, as the stages of `scoring` do it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from trapmid import wiring
from trapmid.config import params
from trapmid.planning.sizes import Images, images
from trapmid.planning.units import Stage, Unit, plain, queried, question
from trapmid.scoring import stand_ins
from trapmid.scoring.described import PAIRS, PROBES
from trapmid.types import Reader

_STEP_OF_PGD = 2  # questions: to the pixels of a frozen network back is as far as forth
_STEPS_OF_PGD = 20
_PAPER_BALLS = 2  # in which a signature is looked for

Work = tuple[tuple[Unit, float], ...]


def scores(study: Mapping[str, Any]) -> Iterator[Stage]:
    """Every stage that scores something, in the order of dvc.yaml."""
    for name, row in study["evaluators"].items():
        asked, of = question(study, "evaluators", name), images(study, row["data"])
        seen = of.train + of.held + _public(study, of)
        yield Stage("evaluate_evaluator", name, ((asked, float(seen)),), untimed=_untimed(study))
    for name in study["targets"]:
        theory = is_planted(study, name) * images(study, study["targets"][name]["data"]).test
        yield Stage("evaluate_target", name, _of_target(study, name), pictures=theory)
    for name in study["judges"]:
        yield Stage("evaluate_judge", name, _of_judge(study, name))
    for name, row in study["attack_runs"].items():
        yield Stage(
            "evaluate", name, _of_attack(study, name, row), untimed=_untimed(study),
            megabytes=_held(study, name, row),
        )  # fmt: skip


def _held(study: Mapping[str, Any], name: str, row: Mapping[str, Any]) -> float:
    """MB of images that the scoring of an attack holds: the prepared ones, and the attack's own.

    These once more where successes go to Inception, and where a paper's code has other pixels.
    """
    of, paper = images(study, row["data"]), wiring.paper_scoring(row["method"])
    times = 1 + (study["evaluation"]["frechet_features"] == "inception" or paper is not None)
    return of.private_megabytes + of.public_megabytes + times * megabytes(study, name, row)


def _untimed(study: Mapping[str, Any]) -> str:
    """What nobody counts of scores: Inception is no network of the study."""
    return "Inception" if study["evaluation"]["frechet_features"] == "inception" else ""


def _of_target(study: Mapping[str, Any], name: str) -> Work:
    """Its accuracy, what PGD makes of it, and what its triggers do."""
    asked, of = question(study, "targets", name), images(study, study["targets"][name]["data"])
    planted = is_planted(study, name)
    balls = len(study["evaluation"]["robust_radii"]) + planted * _PAPER_BALLS
    moved = balls * of.test + 2 * min(PROBES, of.test)  # probes without room, and with all of it
    seen = moved * (_STEPS_OF_PGD * _STEP_OF_PGD + 1) + of.held
    if planted:  # a signature of images with triggers, its cosines with and without, and theory
        seen += 3 * of.train + of.public + _pairs(of) + of.test
    return ((asked, float(seen)),)


def _of_judge(study: Mapping[str, Any], name: str) -> Work:
    """Real images: a reader reads those of the test; a verifier has templates and thresholds."""
    row = study["judges"][name]
    of, asked = images(study, row["data"]), _judge(study, name)
    if issubclass(wiring.judge(row["method"]), Reader):
        return ((asked, float(of.test)),)
    blanks = of.classes + 4  # the mean of all others of each person, and four flat ones
    limit = of.held - of.test or of.test
    return ((asked, float(of.train + limit + 2 * of.test + blanks)),)


def _of_attack(study: Mapping[str, Any], name: str, row: Mapping[str, Any]) -> Work:
    """Its images before the evaluator, the target, what it asked, and the judges."""
    of, rows = images(study, row["data"]), _kept(study, name, row)
    paper = wiring.paper_scoring(row["method"])
    looks = 1
    if paper is not None:  # other pixels are other images
        looks += (paper.accuracy == "eight_bit") + (paper.distances == "files")
    judges = [one for key in ("verifier", "identity") if (one := _named(study, row[key]))]
    # A judge with a vote is held against the evaluator on real images
    by_evaluator = looks * rows + of.test * any(_votes(study, one) for one in judges)
    if row["data"] != study["evaluators"][row["evaluator"]]["data"]:
        by_evaluator += _public(study, of)
    planted = is_planted(study, row["target"])
    by_target = rows * (1 + planted * (1 + (paper is not None)))
    copied = row["queried_model"] != f"models/targets/{row['target']}"
    students = _named(study, row["side_information"], "surrogates")
    stood_in = copied or students is not None
    sample = len(range(0, of.public, max(1, of.public // stand_ins.SAMPLE)))
    work = [
        (question(study, "evaluators", row["evaluator"]), by_evaluator),
        (question(study, "targets", row["target"]), by_target + sample * stood_in),
        (queried(study, row), rows + (_of_stand_in(of, planted) + sample) * copied),
        *((_judge(study, one), rows) for one in judges),
    ]
    if second := _named(study, row["second_evaluator"], "evaluators"):
        work.append((question(study, "evaluators", second), rows))
    if students:
        work.append((question(study, "surrogates", students), rows + sample))
    return tuple((unit, float(count)) for unit, count in work)


def _of_stand_in(of: Images, planted: bool) -> int:
    """What is left of the target in what an attack asked instead: accuracy, and its triggers."""
    return of.test + planted * _pairs(of)


def is_planted(study: Mapping[str, Any], target: str, section: str = "targets") -> bool:
    """Whether images with triggers are asked about, too."""
    return "alpha" in plain(params.of_row(study, section, target))


def _pairs(of: Images) -> int:
    """Of an image and a trigger: every image meets as many classes as it takes."""
    return of.test * min(of.classes, math.ceil(PAIRS / of.test))


def _public(study: Mapping[str, Any], of: Images) -> int:
    """Public images that an evaluator is asked about."""
    most = study["evaluation"].get("public_images")
    return of.public if most is None else min(of.public, int(most))


def _named(study: Mapping[str, Any], path: str, section: str = "judges") -> str | None:
    """The row of a section that makes the file `path`; None: none of its rows does.

    Of a path like data/features/judges/ROW.pt or models/surrogates/ROW/model.pt.
    """
    parts = path.removesuffix(".pt").split("/")
    if section not in parts:
        return None
    row = parts[parts.index(section) + 1]
    return row if row in study[section] else None


def _judge(study: Mapping[str, Any], name: str) -> Unit:
    """Asking a judge about an image."""
    row = study["judges"][name]
    of = images(study, row["data"])
    return Unit("judge", row["method"], "null", "", of.classes, of.size, 256)


def _votes(study: Mapping[str, Any], name: str) -> bool:
    """As `scoring.on_real` has it."""
    judge = wiring.judge(study["judges"][name]["method"])
    return not issubclass(judge, Reader) or judge.votes


def megabytes(study: Mapping[str, Any], name: str, row: Mapping[str, Any]) -> float:
    """MB of the images that an attack leaves: three float32 a pixel."""
    pixels = images(study, row["data"]).size ** 2
    return float(_kept(study, name, row) * 3 * 4 * pixels / 2**20)


def _kept(study: Mapping[str, Any], name: str, row: Mapping[str, Any]) -> int:
    """How many images an attack leaves."""
    classes = images(study, row["data"]).classes
    block = plain(params.of_row(study, "attack_runs", name))
    people = min(classes, block.get("untargeted") or classes)
    return int(people * _kept_of_each(block, study["inversion"]["images_per_class"]))


def _kept_of_each(block: Mapping[str, Any], each: int) -> int:
    """Images of one class that are scored: PPA has a number of its own, and so has BREP-MI."""
    if block.get("robustness"):
        return int(block["robustness"]["keep"])
    return block.get("candidates") or block.get("images_per_class") or each
