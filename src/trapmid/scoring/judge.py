"""What one judge is worth on real private images, and what it measures a study's attacks by."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trapmid.artifacts.judges import LoadedJudge, Opened
from trapmid.artifacts.lineage import Traced
from trapmid.metrics import accuracy, verification
from trapmid.metrics.statistics.intervals import Interval, of_rate
from trapmid.scoring import checks, judge_checks
from trapmid.scoring.described import Private, Setup, Shown
from trapmid.scoring.judged import IdentityScores, VerifierQuality
from trapmid.scoring.scores import JudgeScores, rounded
from trapmid.scoring.verdicts import identity_scores, read, vectors, verify
from trapmid.types import Reader


class ScoredJudge(NamedTuple):
    """A judge's scores, and the tensors that it measures attacks by."""

    scores: JudgeScores  # reports/scores/judges/<row>.json
    reference: dict[str, Tensor]  # of data/features/judges/<row>.pt


def score_judge(
    row: str, opened: Opened, private: Private, truth: Tensor | None, traced: Traced, setup: Setup
) -> ScoredJudge:
    """Scores of one judge: the row `row` of params.yaml.

    Args:
        row: its name.
        opened: the judge.
        private: the private images.
        truth: (C, A) parameters of the private people, for a judge that reads them.
        traced: the file that is going to hold the judge, and whose people it is about.
        setup: how to score.

    Raises:
        ValueError: a judge that reads parameters gets no truth, or one of other parameters.
    """
    network = opened.judge
    quality: VerifierQuality | None = None
    identity: IdentityScores | None = None
    results = _lineage(opened, private)
    if isinstance(network, Reader):
        reference = {"truth": _of_fitting_width(truth, network)}
        shown = Shown.real(private, "test")  # the ceiling of what an attack's images may show
        judge = LoadedJudge(network, reference, traced)
        reading = read(judge, shown, setup)
        identity = identity_scores(judge, reading, shown)
        within = {"identity.aa1": of_rate(reading.hit, shown.labels, equal=True)}
        reference["test_accepted"] = reading.hit
        if network.votes:
            least = setup.bounds.reader_recognises_real
            found = identity.aa1, within["identity.aa1"]
            results.append(judge_checks.reader_recognises_real(*found, least))
    else:
        reference, quality, within = _verifier(opened, private, traced, setup)
        results.append(
            judge_checks.blank_images_refused(
                quality.blanks_accepted, setup.evaluation.verifier_fpr
            )
        )
    scores = JudgeScores(
        row=row,
        method=opened.method,
        learnt_from=_whom(opened),
        n_test=len(private["test_labels"]),
        verifier=quality,
        identity=identity,
        reliability=_reliability(network),
        votes=not isinstance(network, Reader) or network.votes,
        intervals=within,
        checks=checks.verdicts(results),
        failed_checks=checks.failures(results),
    )
    return ScoredJudge(rounded(scores), reference)


def _lineage(opened: Opened, private: Private) -> list[checks.Check]:
    """Nothing is known of the people from whom a judge of others learnt.

    Of people of whom some have no number it can be said that a private one is among them, but not
    that none is.
    """
    who = opened.learnt_from
    if who is None:
        return []
    private_numbers = private["identities"].tolist()
    found = judge_checks.judge_knows_no_private_person(private_numbers, who.numbers, str(who))
    return [found] if who.all_numbered or not found.passed else []


def _whom(opened: Opened) -> str:
    who = opened.learnt_from
    if who is None:
        return "people unknown here: its weights were published"
    return str(who)


def _reliability(network: object) -> dict[str, float]:
    if not isinstance(network, Reader):
        return {}
    return dict(zip(network.names, network.reliability.tolist(), strict=True))


def _of_fitting_width(truth: Tensor | None, network: Reader) -> Tensor:
    if truth is None or truth.shape[1] != len(network.names):
        given = "none" if truth is None else f"{truth.shape[1]}"
        raise ValueError(
            f"judge: truth: needs {len(network.names)} parameters of every person, has {given}"
        )
    return truth


# --- a verifier ---------------------------------------------------------------------------------


def _verifier(
    opened: Opened, private: Private, traced: Traced, setup: Setup
) -> tuple[dict[str, Tensor], VerifierQuality, dict[str, Interval]]:
    embeddings = vectors(opened.judge, private["train_images"], setup)
    classes = len(private["identities"])
    templates = verification.templates(embeddings, private["train_labels"], classes)
    split = "val" if len(private["val_labels"]) else "test"
    limit = verification.threshold(
        _impostors(opened, templates, private, split, setup),
        private[f"{split}_labels"],
        setup.evaluation.verifier_fpr,
    )
    reference = {
        "templates": templates,
        "threshold": torch.tensor(limit, dtype=torch.float64),
        "embeddings": embeddings,
        "labels": private["train_labels"],
    }
    judge = LoadedJudge(opened.judge, reference, traced)
    shown = Shown.real(private, "test")
    verified = verify(judge, shown, setup)
    found = verified.verdicts
    impostors = _impostors(opened, templates, private, "test", setup)
    blanks = _blanks(opened, templates, private, setup)
    right = found.nearest == shown.labels
    passed, whose = (impostors < limit).flatten(), shown.labels[:, None].expand_as(impostors)
    quality = VerifierQuality(
        threshold=limit,
        threshold_split=split,
        false_accepts=accuracy.rate_by_class(passed, whose.flatten()),
        n_impostors=impostors.numel(),
        true_accepts=accuracy.rate_by_class(found.accepted, shown.labels),
        aa1=accuracy.rate_by_class(right, shown.labels),
        blanks_accepted=accuracy.rate(blanks < limit),
        n_blanks=blanks.numel(),
        nearest_image=float(verified.nearest_image.mean()),
    )
    within = {
        "verifier.true_accepts": of_rate(found.accepted, shown.labels, equal=True),
        "verifier.aa1": of_rate(right, shown.labels, equal=True),
        # A person whose pictures pass for one other person pass often: the images' people.
        "verifier.false_accepts": of_rate(passed, whose.flatten(), equal=True),
    }
    return reference | {"test_accepted": found.accepted}, quality, within


def _impostors(
    opened: Opened, templates: Tensor, private: Private, split: str, setup: Setup
) -> Tensor:
    """Distances (N, C - 1) of the images of a split to the people whom they do not show."""
    embeddings = vectors(opened.judge, private[f"{split}_images"], setup)
    distances = verification.distances(embeddings, templates)
    return verification.others(distances, private[f"{split}_labels"])


def _blanks(opened: Opened, templates: Tensor, private: Private, setup: Setup) -> Tensor:
    """Distances of images that show nobody to the people for whom they must not be taken.

    Black, white, the mean colour and noise are nobody's; the mean of all others' images is held
    against the one person who is not in it.
    """
    images, labels = private["train_images"], private["train_labels"]
    classes = torch.arange(len(templates))
    sums = torch.stack([images[labels == one].sum(dim=0) for one in classes]).double()  # of int64
    counts = torch.bincount(labels, minlength=len(classes))[:, None, None, None]
    means = ((sums.sum(dim=0) - sums) / (counts.sum() - counts) / 255).float()
    colour = (sums.sum(dim=0) / counts.sum() / 255).mean(dim=(1, 2)).float()
    flat = verification.distances(
        vectors(opened.judge, _flat(means, colour, setup), setup), templates
    )
    mixed = verification.distances(vectors(opened.judge, means, setup), templates)
    return torch.cat([flat.flatten(), verification.own(mixed, classes)])


def _flat(like: Tensor, colour: Tensor, setup: Setup) -> Tensor:
    """Black, white, the mean colour (3,) and noise, of the size of `like`; (4, 3, S, S)."""
    shape = like.shape[1:]
    noise = torch.rand(shape, generator=setup.rt.generator("noise image"))
    flat = colour[:, None, None].expand(shape)
    return torch.stack([torch.zeros(shape), torch.ones(shape), flat, noise])
