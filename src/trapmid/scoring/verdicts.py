"""What judges say of images that are to show known people.

One verifies, one reads parameters. A judge sees images as files keep them, inside [0, 1]. An image
that an attack did not find is refused.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trapmid.artifacts.judges import LoadedJudge, Panel
from trapmid.metrics import accuracy, features, identification, knn, verification
from trapmid.metrics.statistics.intervals import Interval, of_rate, of_share
from trapmid.metrics.verification import Verdicts
from trapmid.scoring.described import Setup, Shown, describe
from trapmid.scoring.judged import (
    Disagreement,
    GroupScores,
    IdentityScores,
    JudgedScores,
    Likeness,
    VerifierScores,
)
from trapmid.scoring.recognition import mean_distance
from trapmid.types import Judge, Reader


class Judged(NamedTuple):
    """What the judges say of an attack's images."""

    scores: JudgedScores | None  # None: there is no judge
    rows: dict[str, Tensor]  # one entry per reconstruction, for data/scored/<row>.pt
    intervals: dict[str, Interval]  # over people, by the number's path in an attack's scores


class Verified(NamedTuple):
    """What a verifier says of N images."""

    verdicts: Verdicts
    nearest_image: Tensor  # (N,) float64 in [0, 4], see `knn.nearest_image`


class Reading(NamedTuple):
    """What a judge of parameters finds in N images."""

    parameters: Tensor  # (N, A)
    distances: Tensor  # (N, C) float64 to every person, in deviations between people
    hit: Tensor  # (N,) bool: found, and the nearest person is the one that it is to show


def judge(panel: Panel, shown: Shown, hit: Tensor, setup: Setup) -> Judged:
    """The verdicts on an attack's images, of which the evaluator recognises `hit` (N,) bool."""
    answers: dict[str, Tensor] = {}
    rows: dict[str, Tensor] = {}
    within: dict[str, Interval] = {}
    verified = identified = None
    if panel.verifier is not None:
        found = verify(panel.verifier, shown, setup)
        verified = verifier_scores(panel.verifier, found, shown)
        answers["verifier"] = found.verdicts.accepted
        rows |= {
            "verifier_distance": found.verdicts.distances,
            "verifier_nearest": found.verdicts.nearest,
            "verifier_nearest_image": found.nearest_image,
        }
        within |= _verifier_intervals(found.verdicts, shown)
    if panel.identity is not None:
        reading = read(panel.identity, shown, setup)
        identified = identity_scores(panel.identity, reading, shown)
        if _reader(panel.identity).votes:
            answers["identity"] = reading.hit
        rows |= {"identity_distances": reading.distances, "parameters": reading.parameters}
        within |= _identity_intervals(panel.identity, reading, shown)
    agreed = torch.stack([hit, *answers.values()]).all(dim=0) if answers else None
    second = None
    if panel.second_evaluator is not None:
        logits = describe(panel.second_evaluator, shown.images, setup).logits
        second = accuracy.hits(logits, shown.labels) & shown.found
        answers["second_evaluator"] = second
        within["judges.second_aa1"] = of_rate(second, shown.labels, equal=True)
    if not answers and identified is None:
        return Judged(None, {}, {})
    scores = JudgedScores(
        agree=None if agreed is None else accuracy.rate_by_class(agreed, shown.labels),
        n_agree=None if agreed is None else int(agreed.sum()),
        verifier=verified,
        identity=identified,
        second_aa1=None if second is None else accuracy.rate_by_class(second, shown.labels),
        disagreement={name: _disagreement(hit, answer) for name, answer in answers.items()},
    )
    if agreed is not None:
        within["judges.agree"] = of_rate(agreed, shown.labels, equal=True)
    for name, answer in answers.items():
        within |= _disagreement_intervals(name, hit, answer, shown.labels)
    rows |= answers if agreed is None else {**answers, "agreed": agreed}
    return Judged(scores, rows, within)


def vectors(network: Judge, images: Tensor, setup: Setup) -> Tensor:
    """The judge's vectors (N, D) of images (N, 3, S, S), uint8 or float."""
    return features.vectors(network, images, batch_size=setup.evaluation.batch_size, rt=setup.rt)


def verify(verifier: LoadedJudge, shown: Shown, setup: Setup) -> Verified:
    """Whether each image is taken for the person whom it is to show, and how near it comes."""
    reference = verifier.reference
    embeddings = vectors(verifier.judge, shown.images, setup)
    distances = verification.distances(embeddings, reference["templates"])
    limit = float(reference["threshold"])
    found = verification.verdicts(distances, shown.labels, limit)
    near = knn.nearest_image(embeddings, shown.labels, reference["embeddings"], reference["labels"])
    return Verified(found._replace(accepted=found.accepted & shown.found), near)


def verifier_scores(verifier: LoadedJudge, found: Verified, shown: Shown) -> VerifierScores:
    """Rates of the verdicts, and mean distances."""
    verdicts = found.verdicts
    return VerifierScores(
        threshold=float(verifier.reference["threshold"]),
        accepted=accuracy.rate_by_class(verdicts.accepted, shown.labels),
        aa1=accuracy.rate_by_class(_right(verdicts, shown), shown.labels),
        distance=mean_distance(verdicts.distances, shown.found),
        nearest_image=mean_distance(found.nearest_image, shown.found),
    )


def _right(found: Verdicts, shown: Shown) -> Tensor:
    """Whether an image's nearest template is that of the person whom it is to show; (N,) bool."""
    return (found.nearest == shown.labels) & shown.found


def _verifier_intervals(found: Verdicts, shown: Shown) -> dict[str, Interval]:
    return {
        "judges.verifier.accepted": of_rate(found.accepted, shown.labels, equal=True),
        "judges.verifier.aa1": of_rate(_right(found, shown), shown.labels, equal=True),
    }


def read(identity: LoadedJudge, shown: Shown, setup: Setup) -> Reading:
    """The parameters of each image, and its distance to every person."""
    parameters = vectors(identity.judge, shown.images, setup)
    distances = _distances(identity, parameters, list(range(parameters.shape[1])))
    nearest = verification.nearest(distances)
    return Reading(parameters, distances, (nearest == shown.labels) & shown.found)


def _reader(identity: LoadedJudge) -> Reader:
    assert isinstance(identity.judge, Reader)  # `judges.load_panel` refuses others
    return identity.judge


def _distances(identity: LoadedJudge, parameters: Tensor, columns: list[int]) -> Tensor:
    """Distances (N, C) of readings (N, A) to everybody in some of the parameters."""
    network = _reader(identity)
    mean, deviation, reliability = (
        part.cpu()[columns] for part in (network.mean, network.deviation, network.reliability)
    )
    return identification.distances(
        identification.calibrated(parameters[:, columns], mean, reliability),
        identity.reference["truth"][:, columns],
        deviation,
        identification.precision(reliability),
    )


def identity_scores(identity: LoadedJudge, reading: Reading, shown: Shown) -> IdentityScores:
    """Rates and distances of the readings, and what of a person is in them."""
    labels, found = shown.labels[shown.found], shown.found
    parameters = reading.parameters[found]
    return IdentityScores(
        aa1=accuracy.rate_by_class(reading.hit, shown.labels),
        distance=_likeness(reading.distances[found], labels),
        farther=identification.farther(reading.distances[found], labels),
        attributes=_attributes(identity, parameters, labels),
        groups=_groups(identity, parameters, labels),
    )


def _attributes(identity: LoadedJudge, parameters: Tensor, labels: Tensor) -> dict[str, Likeness]:
    """How many images have the attacked person's mark, of every yes/no attribute."""
    reader = _reader(identity)
    read_marks, true_marks = reader.marks(parameters), reader.marks(identity.reference["truth"])
    return {
        name: _likeness(identification.equal(marks, true_marks[name]), labels)
        for name, marks in read_marks.items()
    }


def _by_group(identity: LoadedJudge, parameters: Tensor) -> dict[str, Tensor]:
    """Distances (N, C) in every group of parameters."""
    reader = _reader(identity)
    return {
        group: _distances(identity, parameters, [reader.names.index(name) for name in names])
        for group, names in reader.groups.items()
    }


def _groups(identity: LoadedJudge, parameters: Tensor, labels: Tensor) -> dict[str, GroupScores]:
    """How near images are to the attacked person in every group of parameters."""
    return {
        group: GroupScores(
            distance=_likeness(distances, labels),
            farther=identification.farther(distances, labels),
        )
        for group, distances in _by_group(identity, parameters).items()
    }


def _identity_intervals(
    identity: LoadedJudge, reading: Reading, shown: Shown
) -> dict[str, Interval]:
    """Of the share of hits, and of `farther` unless all people are alike between 0 and 1."""
    found = {"judges.identity.aa1": of_rate(reading.hit, shown.labels, equal=True)}
    if not shown.found.any():
        return found
    groups = _by_group(identity, reading.parameters[shown.found])
    measured = {"": reading.distances[shown.found]} | {
        f"groups.{group}.": distances for group, distances in groups.items()
    }
    labels = shown.labels[shown.found]
    for path, distances in measured.items():
        interval = of_share(identification.farther_by_image(distances, labels), labels, equal=True)
        if interval is not None:
            found[f"judges.identity.{path}farther"] = interval
    return found


def _likeness(values: Tensor, labels: Tensor) -> Likeness:
    return Likeness(**identification.likeness(values, labels)._asdict())


def _disagreement(hit: Tensor, other: Tensor) -> Disagreement:
    counts = verification.disagreement(hit, other)
    return Disagreement(
        both=counts.both,
        false_positives=counts.first_only,
        false_negatives=counts.second_only,
        neither=counts.neither,
        false_positive_share=accuracy.rate(~other[hit]) if hit.any() else None,
        false_negative_share=accuracy.rate(~hit[other]) if other.any() else None,
    )


def _disagreement_intervals(
    judge: str, hit: Tensor, other: Tensor, labels: Tensor
) -> dict[str, Interval]:
    """Of both shares, as far as there are images of which they are."""
    found = {"false_positive_share": (hit, ~other), "false_negative_share": (other, ~hit)}
    return {
        f"judges.disagreement.{judge}.{name}": of_rate(wrong[among], labels[among])
        for name, (among, wrong) in found.items()
        if among.any()
    }
