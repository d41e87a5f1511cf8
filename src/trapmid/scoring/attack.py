"""What one attack on one target got."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trapmid import wiring
from trapmid.artifacts.judges import NO_JUDGES, Panel
from trapmid.config.evaluation import FLOOR
from trapmid.config.study import AttackRunRow
from trapmid.metrics import accuracy, features, signature
from trapmid.metrics.signature import Detection
from trapmid.metrics.statistics.intervals import Interval
from trapmid.scoring import checks, papers, stand_ins, verdicts
from trapmid.scoring.described import NOISE, Loaded, Setup, Shown
from trapmid.scoring.evidence import AttackedModel, Data, Evidence
from trapmid.scoring.fidelity import fidelity
from trapmid.scoring.on_real import on_real
from trapmid.scoring.recognition import Evaluator, Recognised, recognise
from trapmid.scoring.references import cosines, public_cosines, public_features
from trapmid.scoring.scores import (
    AttackProtocol,
    AttackScores,
    Count,
    Fidelity,
    PaperScores,
    WithinRun,
    rounded,
)
from trapmid.types import Target


class ScoredAttack(NamedTuple):
    """An attack's scores and what they were made of."""

    scores: AttackScores  # reports/scores/attack_runs/<row>.json
    rows: dict[str, Any]  # data/scored/<row>.pt, one entry per reconstruction
    hit: Tensor  # (N,) bool: the evaluator recognises the attacked class


class _Agreement(NamedTuple):
    """Share of the answers that get the attacked class; None without any answer."""

    target: float | None
    queried_model: float | None  # what the search asked, students included


def score_attack(
    row: str,
    block: AttackRunRow,
    evaluator: Evaluator,
    attacked: AttackedModel,
    data: Data,
    evidence: Evidence,
    setup: Setup,
    panel: Panel = NO_JUDGES,
) -> ScoredAttack:
    """Scores of the row `row` of `attack_runs`; `panel`: the judges beside the evaluator."""
    shown = Shown(evidence.images, evidence.labels, evidence.draws, evidence.found)
    recognised = recognise(evaluator, shown, setup)
    agreement = _agreements(attacked, shown, setup)
    real = on_real(evaluator, panel, data.private, setup)
    results = _checks(block, evaluator, attacked, evidence, recognised, agreement, setup)
    results += real.checks
    known = stand_ins.agreement(attacked, data.public, setup)
    if known is not None:
        least = setup.bounds.stand_in_agreement
        results.append(checks.at_least("stand_in_agreement", known, least))
    judged = verdicts.judge(panel, shown, recognised.hit, setup)
    detection, carried = _detect(attacked, data.public, shown, setup)
    within = judged.intervals | real.intervals | _signature_intervals(detection, carried, shown)
    scores = AttackScores(
        row=row,
        attack=block.attack,
        defense=attacked.target.meta["defense"],
        target=block.target,
        seed=block.seed,
        **vars(recognised.recognition(within)),
        **vars(_within_run(recognised, evidence)),
        coverage=accuracy.rate(evidence.found),
        left_out=evidence.left_out,
        counts={name: _count(numbers) for name, numbers in evidence.counts.items()},
        frechet_features=setup.evaluation.frechet_features,
        target_agreement=agreement.target,
        queried_agreement=agreement.queried_model,
        stand_in_agreement=known,
        stand_in=stand_ins.scores(attacked, data.private, setup),
        signature=detection,
        fidelity=_fidelity(evaluator, data.public, shown, recognised, setup),
        paper=_paper(block, evaluator, attacked, data, shown, recognised, setup),
        judges=judged.scores
        and replace(judged.scores, ceiling=real.refused, agree_on_real=real.agree),
        protocol=_protocol(block, evidence, setup),
        checks=checks.verdicts(results),
        failed_checks=checks.failures(results),
    )
    rows = _rows(recognised, carried, judged.rows)
    return ScoredAttack(rounded(scores), rows, recognised.hit)


def _agreements(attacked: AttackedModel, shown: Shown, setup: Setup) -> _Agreement:
    queried = attacked.queried_model.model
    return _Agreement(
        target=_agreement(attacked.target.model, None, shown, setup),
        queried_model=_agreement(queried, attacked.students, shown, setup),
    )


def _agreement(
    queried_model: Target, students: Target | None, shown: Shown, setup: Setup
) -> float | None:
    """Share of the answers that this model, and the students if any, give to the attacked class.

    Several networks give it by the mean of their logits, which is what LOMMA's search raises.
    """
    if not shown.found.any():
        return None
    size, rt = setup.evaluation.batch_size, setup.rt
    member_logits = []
    for network in (queried_model, *([] if students is None else [students])):
        with rt.seeded(NOISE):
            member_logits += features.member_logits(network, shown.images, batch_size=size, rt=rt)
    hit = accuracy.hits(torch.stack(member_logits).mean(dim=0), shown.labels)
    return accuracy.rate(hit[shown.found])


def _checks(
    block: AttackRunRow,
    evaluator: Evaluator,
    attacked: AttackedModel,
    evidence: Evidence,
    recognised: Recognised,
    agreement: _Agreement,
    setup: Setup,
) -> list[checks.Check]:
    judge, target = evaluator.loaded, attacked.target
    labels, classes = evidence.labels, target.model.num_classes
    strength = _accepted(evidence, agreement, setup)
    if block.attack == FLOOR:
        strength = checks.floor_is_chance(int(recognised.hit.sum()), len(labels), classes)
    return [
        checks.evaluator_is_another_network(_known(judge), _known(target)),
        checks.every_class_attacked(labels, evidence.draws, classes, evidence.left_out),
        strength,
    ]


def _known(loaded: Loaded) -> checks.Known:
    return checks.Known(loaded.model, loaded.digest, loaded.lineage.sources.get("init"))


def _accepted(evidence: Evidence, agreement: _Agreement, setup: Setup) -> checks.Check:
    """Whether what the search asked takes its images; one that was not found is refused."""
    accepted = accuracy.rate(evidence.found) * (agreement.queried_model or 0.0)
    return checks.at_least("target_agreement", accepted, setup.bounds.target_agreement)


def _detect(
    attacked: AttackedModel, public: Tensor, shown: Shown, setup: Setup
) -> tuple[Detection | None, dict[str, Tensor]]:
    """The signature's verdict on what was found, and the cosines of every group of images."""
    reference, target = attacked.signature, attacked.target
    if reference is None or not shown.found.any():
        return None, {}
    everything = bool(shown.found.all())  # as nearly always: no copy of 30 GB of images
    recovered = shown.images if everything else shown.images[shown.found]
    by_kind = {
        "train": reference.train,
        "poisoned": reference.poisoned,
        "public": public_cosines(reference, target, public, setup),
        "recovered": cosines(target, recovered, reference.centres, setup),
    }
    detection = signature.detect(
        by_kind["recovered"], by_kind["public"], by_kind["train"], setup.evaluation.signature_fpr
    )
    return detection, by_kind


def _signature_intervals(
    detection: Detection | None, carried: Mapping[str, Tensor], shown: Shown
) -> dict[str, Interval]:
    if detection is None:
        return {}
    labels = shown.labels[shown.found]
    found = signature.intervals_of(detection, carried["recovered"], carried["public"], labels)
    return {f"signature.{name}": one for name, one in found.items()}


def _within_run(recognised: Recognised, evidence: Evidence) -> WithinRun:
    labels, draws = evidence.labels, evidence.draws
    everybody = len(labels)  # one batch: the deviation of the whole run's accuracy over its draws
    return WithinRun(
        aa1_std=accuracy.within_run_std(recognised.hit, labels, draws, everybody),
        aa5_std=accuracy.within_run_std(recognised.hit5, labels, draws, everybody),
    )


def _paper(
    block: AttackRunRow,
    evaluator: Evaluator,
    attacked: AttackedModel,
    data: Data,
    shown: Shown,
    recognised: Recognised,
    setup: Setup,
) -> PaperScores | None:
    """The scores as the attack's own code computes them; None: there is none."""
    scoring = wiring.paper_scoring(block.method)
    if scoring is None:
        return None
    files = shown._replace(images=papers.stored(shown.images, scoring))
    detection, _ = _detect(attacked, data.public, files, setup)
    return papers.as_published(scoring, evaluator, shown, recognised, detection, setup)


def _fidelity(
    evaluator: Evaluator, public: Tensor, shown: Shown, recognised: Recognised, setup: Setup
) -> Fidelity | None:
    """How close the images come to the private ones, public images aside."""
    reference = evaluator.reference
    described = public_features(reference, evaluator.loaded, public, setup)
    return fidelity(recognised, shown, reference, described, setup)


def _count(numbers: Tensor) -> Count:
    """What is shown of one number per reconstruction, e.g. the queries of each."""
    values = numbers.double()
    return Count(mean=float(values.mean()), max=float(values.max()), sum=float(values.sum()))


def _protocol(block: AttackRunRow, evidence: Evidence, setup: Setup) -> AttackProtocol:
    return AttackProtocol(
        identities=len(set(evidence.labels.tolist())),
        images_per_identity=len(set(evidence.draws.tolist())),
        frechet_features=setup.evaluation.frechet_features,
        evaluator=block.evaluator,
    )


def _rows(
    recognised: Recognised, carried: Mapping[str, Tensor], judged: Mapping[str, Tensor]
) -> dict[str, Any]:
    return {
        "labels": recognised.labels,
        "hit": recognised.hit,
        "predictions": recognised.best[:, 0],
        "top5": recognised.best,
        "knn": recognised.knn,
        "signature_scores": carried,
        "judged": judged,
    }
