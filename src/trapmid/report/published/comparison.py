"""Every published number beside ours: whether the two can be compared, and whether they agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from trapmid.report.published.rows import DRAWN, FACENET, LARGE, PRDC, origin
from trapmid.report.published.study import Ours, Study
from trapmid.report.published.tables import Number, Published

Status = Literal["match", "differs", "not comparable", "not run"]

STATUSES: tuple[Status, ...] = ("match", "differs", "not comparable", "not run")

_PEOPLE = 1000
_SIZES = {"celeba": 64, LARGE: 224}
_EVALUATORS = {"celeba": "facenet112", LARGE: "inception_v3"}
"""Both by the private images of the paper."""
_ATTACKED = {"brepmi": (300, 1), "ppa": (_PEOPLE, 50)}
"""By attack: how many people, how many images of each; any other has 1,000 and 5."""
_DISTANCES = ("knn_dist", "eval_dist")  # one and the same, as the two tracks call it
_SEEDS = 5  # of which the paper's best and worst cases are taken


class Comparison(NamedTuple):
    """One published number and ours."""

    number: Number
    ours: Ours | None
    difference: float | None  # ours - published, as the study counts; None: nothing to compare
    status: Status
    why: tuple[str, ...]  # what makes the two no pair; empty: they are one


def compare(published: Published, study: Study) -> list[Comparison]:
    """All published numbers, in their order.

    A number matches where the difference lies within both spreads: within the printed deviation,
    and the published value within our interval. A spread that one side lacks decides nothing; where
    both lack it, the two must agree in every printed digit. Numbers of other data, networks,
    evaluators or people are never compared, however close they are.
    """
    return [_compared(number, study) for number in published.numbers]


def counts(compared: Iterable[Comparison]) -> dict[Status, int]:
    """How many numbers have which status, all statuses in their order."""
    found = Counter(one.status for one in compared)
    return {status: found[status] for status in STATUSES}


def _compared(number: Number, study: Study) -> Comparison:
    ours = study.find(number)
    if ours is None:
        return Comparison(number, None, None, "not run", ())
    difference = ours.value - number.amount
    if why := tuple(reasons(number, ours, study)):
        return Comparison(number, ours, difference, "not comparable", why)
    return Comparison(number, ours, difference, "match" if agrees(number, ours) else "differs", ())


def agrees(number: Number, ours: Ours) -> bool:
    """Whether the difference lies within every spread that is known, up to the printed digits."""
    bounds = []
    if number.spread is not None:
        bounds.append((number.amount - number.spread, number.amount + number.spread, ours.value))
    if ours.range is not None:
        bounds.append((ours.range.low, ours.range.high, number.amount))
    if not bounds:
        bounds = [(number.amount, number.amount, ours.value)]
    slack = number.rounding * (1 + 1e-9)
    return all(low - slack <= value <= high + slack for low, high, value in bounds)


def reasons(number: Number, ours: Ours, study: Study) -> list[str]:
    """What makes ours another quantity than the published one, a few words each."""
    return [
        *_other_data(number, ours, study),
        *_other_network(number, ours, study),
        *_other_measure(number, ours, study),
        *_other_runs(number, ours, study),
    ]


def _other_data(number: Number, ours: Ours, study: Study) -> list[str]:
    row = study.params["data"][ours.place.data]
    private = origin(study.params, ours.place.data, "private")
    found = []
    if private == DRAWN:
        found.append(DRAWN)
    elif private != number.private.removesuffix("_hd"):
        found.append(f"private images of {private}")
    public = origin(study.params, ours.place.data, "public")
    if study.runs(ours) and public not in (number.public, private if private == DRAWN else ""):
        found.append(f"public images of {public}")
    if (size := _SIZES[number.private]) != row["image_size"]:
        found.append(f"{row['image_size']} pixels instead of {size}")
    if row["identities"] != _PEOPLE:
        found.append(f"{row['identities']:,} people instead of {_PEOPLE:,}")
    if (number.metric, number.private) == ("acc", LARGE) and row.get("test_split") != "shuffled":
        found.append("test images of all people, there of 951")
    return found


def _other_network(number: Number, ours: Ours, study: Study) -> list[str]:
    """Another network, or another start: every target of the paper had learnt something before."""
    found = []
    if ours.place.architecture != number.architecture:
        found.append(f"network {ours.place.architecture} instead of {number.architecture}")
    if any("random" in study.params["targets"][row]["init"] for row in study.attacked(ours)):
        found.append("targets from random weights instead of pretrained ones")
    return found


def _other_measure(number: Number, ours: Ours, study: Study) -> list[str]:
    """Another judge, another feature space, another machine."""
    if number.metric == "training_minutes":
        return ["another machine"]
    if number.metric == FACENET:  # the evaluator has no part in it; FaceNet resizes to its pixels
        others = sorted(study.verifiers(ours) - {"facenet"})
        return [f"the verifier {name} instead of FaceNet" for name in others]
    judges = [study.params["evaluators"][one.protocol.evaluator] for one in study.runs(ours)]
    found = []
    if any(judge["arch"] != _EVALUATORS[number.private] for judge in judges):
        found.append("another evaluator")
    elif number.metric in _DISTANCES and any(_is_ours(number, judge) for judge in judges):
        found.append("evaluator from other weights: its distances have another scale")
    if number.metric in PRDC:
        found.append("a mean over three entries there, over people here")
        found.append("features of the evaluator instead of an Inception network")
    if number.metric == "fid":
        found += _other_frechet(number, {one.frechet_features for one in study.runs(ours)})
    return found


def _other_frechet(number: Number, features: Container[str]) -> list[str]:
    """No published FID of 64 pixels has our network and scale of pixels (docs/deviations.md)."""
    own = ["Fréchet distance of the evaluator's features"] if "evaluator" in features else []
    if number.private == LARGE:
        return [*own, "of successes alone, there of all images"]
    if own:
        return own
    if number.attack in ("lomma_gmi", "lomma_kedmi"):
        return ["pixels on another scale there"]
    return ["another Inception network and input scale there"]


def _is_ours(number: Number, judge: Mapping[str, Any]) -> bool:
    """Whether an evaluator learnt from other weights than the paper's: its features are others.

    PPA's had learnt FaceScrub before, and those weights were never released: it is taken whole.
    """
    if number.private == LARGE:
        return bool(judge["training"] != "given")
    return "random" in judge["init"]


def _other_runs(number: Number, ours: Ours, study: Study) -> list[str]:
    runs = study.runs(ours)
    people, images = _ATTACKED.get(number.attack, (_PEOPLE, 5))
    found = []
    if any(one.protocol.identities != people for one in runs):
        attacked = runs[0].protocol.identities
        found.append(f"{attacked:,} people attacked instead of {people:,}")
    if any(one.protocol.images_per_identity != images for one in runs):
        found.append("another number of images of each person")
    if number.target in ("best", "worst") and len(study.params["seeds"]) < _SEEDS:
        found.append(f"of fewer than {_SEEDS} seeds")
    if any(not all(one.checks.values()) for one in runs):
        found.append("a check of the attack failed")
    return found
