"""What a classifier or an attack is worth: tensors in, one JSON-friendly dictionary out.

Attack accuracy is taken from the generator's raw output; what the evaluator wants of an image it
does inside. With `evaluation.stretch` the KNN distance, the Frechet distance and the signature see
reconstructions as the papers' scripts re-read them from PNG files (`features.stretch`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from trapmid import checks
from trapmid.criteria import UNDEFENDED, Checks, Evaluation
from trapmid.metrics import accuracy, features, frechet, inception, knn, signature, theory
from trapmid.metrics.features import Description, Poison
from trapmid.runtime import Runtime
from trapmid.study import CellRow
from trapmid.types import Target, Trapdoor

_PROBES = 16  # images that the forward and gradient checks look at
_PAIRS = 4000  # of an image and a trigger, at least: with 168, one image was the verdict


class Loaded(Protocol):
    """A classifier from its checkpoint: on the runtime's device, in eval mode, frozen."""

    @property
    def model(self) -> Target: ...
    @property
    def trapdoor(self) -> Trapdoor | None: ...
    @property
    def meta(self) -> Mapping[str, Any]: ...
    @property
    def digest(self) -> str: ...


Private = Mapping[str, Tensor]
"""Content of private.pt: {train, val, test}_{images, labels} and identities."""


class CellScore(NamedTuple):
    """A cell's scores and what they were made of."""

    scores: dict[str, Any]  # reports/scores/cells/<cell>.json
    rows: dict[str, Any]  # data/scored/<cell>.pt, one entry per reconstruction
    hit: Tensor  # (N,) bool: the evaluator recognises the attacked class


def score_evaluator(
    row: str,
    loaded: Loaded,
    private: Private,
    evaluation: Evaluation,
    bounds: Checks,
    rt: Runtime,
) -> dict[str, Any]:
    """Scores of one evaluator, and the table's ceiling: real test images scored as an attack."""
    test, labels = private["test_images"], private["test_labels"]
    described = _describe(loaded, test, evaluation, rt)
    test_accuracy = accuracy.rate(accuracy.hits(described.logits, labels))
    val_accuracy = _val_accuracy(loaded, private, evaluation, rt)
    found = [
        *_classifier_checks(loaded, private, described, test_accuracy, val_accuracy, rt),
        checks.at_least("evaluator_accuracy", test_accuracy, bounds.evaluator_accuracy),
    ]
    real = torch.ones(len(labels), dtype=torch.bool)
    ceiling = _Judged.make(loaded, test, labels, real, private, evaluation, rt, described)
    return rounded(
        {
            "row": row,
            "test_accuracy": test_accuracy,
            "val_accuracy": val_accuracy,
            "n_test": len(labels),
            "ceiling": ceiling.scores(),
            "checks": checks.verdicts(found),
            "failed_checks": checks.failures(found),
        }
    )


def score_target(
    row: str,
    loaded: Loaded,
    private: Private,
    manifest: Iterable[Mapping[str, str]],
    evaluation: Evaluation,
    bounds: Checks,
    rt: Runtime,
) -> dict[str, Any]:
    """Scores of one target.

    Trapdoor success: a test image gets the trigger of a class, unaugmented, and succeeds where the
    target answers that class (Trap-MID, App. C.4). Every image meets as many classes as `_PAIRS`
    wants, at most each once. The first balanced random list of classes, one an image, also measures
    the theory (section 3.4).
    """
    test, labels = private["test_images"], private["test_labels"]
    described = _describe(loaded, test, evaluation, rt)
    test_accuracy = accuracy.rate(accuracy.hits(described.logits, labels))
    val_accuracy = _val_accuracy(loaded, private, evaluation, rt)
    found = [
        *_classifier_checks(loaded, private, described, test_accuracy, val_accuracy, rt),
        _gradients_check(loaded, private, rt),
        *checks.data_disjoint(manifest, validation=val_accuracy is not None),
    ]
    success = measured = None
    pairs = 0
    if loaded.trapdoor is not None:
        wanted = accuracy.balanced_labels(
            len(labels), loaded.model.num_classes, rt.generator("trapdoor success")
        )
        poison = Poison(loaded.trapdoor, wanted)
        poisoned = _describe(loaded, test, evaluation, rt, poison)
        success, pairs = _trapdoor_success(loaded, loaded.trapdoor, test, wanted, evaluation, rt)
        size = evaluation.batch_size
        measured = theory.measure(
            theory.Group(described.logits, labels, theory.pixel_features(test, size)),
            theory.Group(poisoned.logits, wanted, theory.pixel_features(test, size, poison)),
            rt,
        )
        found += [checks.at_least("trapdoor_success", success, bounds.trapdoor_success)]
    defense = loaded.meta["defense"]
    if defense == UNDEFENDED:
        found += [checks.at_least("undefended_accuracy", test_accuracy, bounds.target_accuracy)]
    scores = {
        "row": row,
        "defense": defense,
        "seed": rt.seed,
        "test_accuracy": test_accuracy,
        "val_accuracy": val_accuracy,
        "n_test": len(labels),
        "trapdoor_success": success,
        "n_trapdoor": pairs,
        "theory": measured and measured._asdict(),
        "stochastic": loaded.model.stochastic,
        "checks": checks.verdicts(found),
        "failed_checks": checks.failures(found),
    }
    # Not rounded: what a training guarantees holds for these very numbers, however small.
    return rounded(scores) | {"facts": dict(loaded.meta["facts"])}


def score_cell(
    row: str,
    cell: CellRow,
    evaluator: Loaded,
    target: Loaded,
    guide: Loaded,
    students: Target | None,
    private: Private,
    public: Tensor,
    reconstruction: Mapping[str, Any],
    evaluation: Evaluation,
    bounds: Checks,
    rt: Runtime,
) -> CellScore:
    """Scores of one attack on one target.

    Args:
        row: the cell's name.
        cell: its block.
        evaluator: the judge.
        target: what was attacked.
        guide: what the search asked: the target, or what stood in for it.
        students: what voted beside it; LOMMA's.
        private: the private images, (n, 3, S, S) uint8, and labels.
        public: (M, 3, S, S) uint8, the negatives of the signature's ROC curve.
        reconstruction: `images` (N, 3, S, S) float32 as the generator made them, `labels`,
            `draws`, `found` (N,) bool, `counts`, a dictionary of (N,) numbers, and `left_out`, how
            many rows an untargeted attack did not attempt: only whole classes are missing then.
        evaluation: how to score.
        bounds: for the checks.
        rt: where to compute; its seed draws the signature's triggers.
    """
    images, labels, draws = (reconstruction[key] for key in ("images", "labels", "draws"))
    answered: Tensor = reconstruction["found"]
    classes = target.model.num_classes
    judged = _Judged.make(evaluator, images, labels, answered, private, evaluation, rt)
    made = (images, labels, answered)
    agreed = {
        "target_agreement": _agreement(target.model, None, *made, evaluation, rt),
        "guide_agreement": _agreement(guide.model, students, *made, evaluation, rt),
    }
    coverage, left_out = accuracy.rate(answered), int(reconstruction["left_out"])
    found = [
        checks.evaluator_is_another_network(
            evaluator.model, evaluator.digest, target.model, target.digest
        ),
        checks.every_class_attacked(labels, draws, classes, left_out),
        checks.floor_is_chance(accuracy.rate(judged.hit), len(labels), classes)
        if cell.attack == checks.FLOOR_ATTACK
        else checks.at_least(
            "target_agreement",
            coverage * (agreed["guide_agreement"] or 0.0),  # a miss is a refusal
            bounds.target_agreement,
        ),
    ]
    detection, cosines = None, dict[str, Tensor]()
    if target.trapdoor is not None and answered.any():
        seen = _stored(images[answered], evaluation)
        detection, cosines = _detect(target, private, public, seen, evaluation, rt)
    scores = {
        "row": row,
        "attack": cell.attack,
        "defense": target.meta["defense"],
        "target": cell.target,
        "seed": cell.seed,
        **judged.scores(),
        "aa1_std": accuracy.within_run_std(judged.hit, labels, draws, evaluation.attack_batch),
        "aa5_std": accuracy.within_run_std(judged.hit5, labels, draws, evaluation.attack_batch),
        # As LOMMA's code computes them, and so the paper's tables of it.
        "aa1_std_mean": accuracy.mean_of_stds(judged.hit, labels, draws, evaluation.attack_batch),
        "aa5_last_draw": accuracy.rate(judged.hit5[draws == draws.max()]),
        "coverage": coverage,
        "left_out": left_out,
        "counts": {name: _counted(numbers) for name, numbers in reconstruction["counts"].items()},
        "frechet_features": evaluation.frechet_features,
        **agreed,
        "stand_in": None
        if guide.digest == target.digest
        else _stand_in(guide, target, private, evaluation, rt),
        "signature": detection and detection._asdict(),
        "protocol": {
            "identities": len(set(labels.tolist())),
            "images_per_identity": len(set(draws.tolist())),
            "attack_batch": evaluation.attack_batch,
            "stretch": evaluation.stretch,
            "frechet_features": evaluation.frechet_features,
            "evaluator": cell.evaluator,
        },
        "checks": checks.verdicts(found),
        "failed_checks": checks.failures(found),
    }
    rows = {
        "hit": judged.hit,
        "predictions": judged.best[:, 0],
        "top5": judged.best,
        "knn": judged.knn,
        "signature_scores": cosines,
    }
    return CellScore(rounded(scores), rows, judged.hit)


def rounded(scores: Mapping[str, Any], digits: int = 6) -> dict[str, Any]:
    """`scores` with every float inside rounded: the last bits of a sum are not worth a diff."""
    return {key: _round(value, digits) for key, value in scores.items()}


def _round(value: Any, digits: int) -> Any:
    if isinstance(value, float):
        return round(value, digits) + 0.0  # no -0.0
    if isinstance(value, list):
        return [_round(item, digits) for item in value]
    return rounded(value, digits) if isinstance(value, Mapping) else value


class _Judged(NamedTuple):
    """What the evaluator says about images of known class."""

    best: Tensor  # (N, min(5, C)) classes, best first
    hit: Tensor  # (N,) bool
    hit5: Tensor  # (N,) bool
    knn: Tensor  # (N,) float64
    answered: Tensor  # (N,) bool; False: no image of the attack's, but what stands in its place
    frechet: float | None

    @classmethod
    def make(
        cls,
        evaluator: Loaded,
        images: Tensor,
        labels: Tensor,
        answered: Tensor,
        private: Private,
        evaluation: Evaluation,
        rt: Runtime,
        described: Description | None = None,
    ) -> _Judged:
        """Judges `images` (N, 3, S, S) of classes `labels`.

        An image that is not `answered` (N,) is a miss. `described`: if known already.
        """
        if evaluation.low2high is not None and described is None:
            images = features.low2high(images, evaluation.low2high)
        raw = described or _describe(evaluator, images, evaluation, rt)
        stored = _stored(images, evaluation)
        seen = _describe(evaluator, stored, evaluation, rt) if evaluation.stretch else raw
        train = _describe(evaluator, private["train_images"], evaluation, rt)
        hit = accuracy.hits(raw.logits, labels) & answered
        distance = None
        if int(hit.sum()) >= max(evaluation.frechet_min_success, 2):
            if evaluation.frechet_features == "inception":
                pair = [
                    _inception(i, evaluation, rt) for i in (stored[hit], private["train_images"])
                ]
            else:
                pair = [seen.features[hit], train.features]
            distance = frechet.frechet(*(_whole_batches(part, evaluation) for part in pair))
        return cls(
            best=accuracy.best_classes(raw.logits, 5),
            hit=hit,
            hit5=accuracy.hits(raw.logits, labels, 5) & answered,
            knn=knn.nearest_squared(seen.features, labels, train.features, private["train_labels"]),
            answered=answered,
            frechet=distance,
        )

    def scores(self) -> dict[str, Any]:
        return {
            "aa1": accuracy.rate(self.hit),
            "aa5": accuracy.rate(self.hit5),
            "knn_dist": float(self.knn[self.answered].mean()) if self.answered.any() else None,
            "frechet": self.frechet,
            "n_success": int(self.hit.sum()),
            "n": len(self.hit),
        }


def _whole_batches(rows: Tensor, evaluation: Evaluation) -> Tensor:
    """The rows (N, F) that the official scripts see: all but those of the last, partial batch."""
    batch = evaluation.frechet_batch
    return rows if batch is None or len(rows) < batch else rows[: len(rows) // batch * batch]


def _agreement(
    asked: Target,
    students: Target | None,
    images: Tensor,
    labels: Tensor,
    answered: Tensor,
    evaluation: Evaluation,
    rt: Runtime,
) -> float | None:
    """Share of the answers that `asked`, and the students if any, give to the attacked class.

    Several networks give it by the mean of their logits, which is what LOMMA's search raises. None
    without any answer.
    """
    if not answered.any():
        return None
    votes = []
    for network in (asked, *([] if students is None else [students])):
        with rt.seeded("noise of a stochastic target"):
            votes += features.votes(network, images, batch_size=evaluation.batch_size, rt=rt)
    hit = accuracy.hits(torch.stack(votes).mean(dim=0), labels)
    return accuracy.rate(hit[answered])


def _stand_in(
    guide: Loaded, target: Loaded, private: Private, evaluation: Evaluation, rt: Runtime
) -> dict[str, float | None]:
    """How much of the target is left in what stands in for it: accuracy, and its trapdoor."""
    test, labels = private["test_images"], private["test_labels"]
    described = _describe(guide, test, evaluation, rt)
    success = None
    if target.trapdoor is not None:
        wanted = accuracy.balanced_labels(
            len(labels), target.model.num_classes, rt.generator("trapdoor success")
        )
        success, _ = _trapdoor_success(guide, target.trapdoor, test, wanted, evaluation, rt)
    return {
        "test_accuracy": accuracy.rate(accuracy.hits(described.logits, labels)),
        "trapdoor_success": success,
    }


def _trapdoor_success(
    asked: Loaded,
    trapdoor: Trapdoor,
    images: Tensor,
    wanted: Tensor,
    evaluation: Evaluation,
    rt: Runtime,
) -> tuple[float, int]:
    """Share of pairs of an image and a trigger that `asked` gives the trigger's class; how many.

    `wanted` (N,) is a balanced list of classes. Each further list is the one before it, one class
    on: as balanced, and no image meets a trigger twice.
    """
    classes = asked.model.num_classes
    lists = min(classes, math.ceil(_PAIRS / len(images)))
    hits = []
    for turn in range(lists):
        now = (wanted + turn) % classes
        described = _describe(asked, images, evaluation, rt, Poison(trapdoor, now))
        hits.append(accuracy.hits(described.logits, now))
    return accuracy.rate(torch.cat(hits)), lists * len(images)


def _counted(numbers: Tensor) -> dict[str, float]:
    """What is shown of one number per reconstruction, e.g. the queries of each."""
    values = numbers.double()
    return {"mean": float(values.mean()), "max": float(values.max()), "sum": float(values.sum())}


def _detect(
    target: Loaded,
    private: Private,
    public: Tensor,
    recovered: Tensor,
    evaluation: Evaluation,
    rt: Runtime,
) -> tuple[signature.Detection, dict[str, Tensor]]:
    """The signature's verdict on `recovered`, and the cosines of every group for a histogram."""
    assert target.trapdoor is not None
    train, classes = private["train_images"], target.model.num_classes
    centres = signature.planted(target.model, target.trapdoor, train, rt, evaluation.batch_size)
    # Another list than the signature's: no image is judged by a signature that it is a part of.
    second = accuracy.balanced_labels(len(train), classes, rt.generator("signature", "poisoned"))
    groups = {
        "train": _describe(target, train, evaluation, rt),
        "poisoned": _describe(target, train, evaluation, rt, Poison(target.trapdoor, second)),
        "public": _describe(target, public, evaluation, rt),
        "recovered": _describe(target, recovered, evaluation, rt),
    }
    cosines = {
        name: signature.cosine_scores(d.features, d.predictions, centres)
        for name, d in groups.items()
    }
    detection = signature.detect(
        cosines["recovered"], cosines["public"], cosines["train"], evaluation.signature_fpr
    )
    return detection, cosines


def _classifier_checks(
    loaded: Loaded,
    private: Private,
    described: Description,
    test_accuracy: float,
    val_accuracy: float | None,
    rt: Runtime,
) -> list[checks.Check]:
    images, _ = _probes(private, rt)
    noisy = loaded.model.stochastic
    part, split = ("test", "test") if val_accuracy is None else ("val", "validation")
    found = [
        checks.checkpoint_verified(
            loaded.meta.get(f"{part}_accuracy"),
            test_accuracy if val_accuracy is None else val_accuracy,
            noisy_images=len(private[f"{part}_labels"]) if noisy else 0,
            split=split,
        ),
        checks.logits_not_probabilities(described.logits),
    ]
    return found if noisy else [*found, checks.deterministic(loaded.model, images)]


def _gradients_check(loaded: Loaded, private: Private, rt: Runtime) -> checks.Check:
    with rt.seeded("noise of a stochastic target", "gradients"):
        return checks.gradients_reach_images(loaded.model, *_probes(private, rt))


def _probes(private: Private, rt: Runtime) -> tuple[Tensor, Tensor]:
    """A few test images (n, 3, S, S) float32 and their labels, on the device."""
    images = features.as_float(private["test_images"][:_PROBES])
    return images.to(rt.device), private["test_labels"][:_PROBES].to(rt.device)


def _val_accuracy(
    loaded: Loaded, private: Private, evaluation: Evaluation, rt: Runtime
) -> float | None:
    """None: there is no validation split."""
    if not len(private["val_labels"]):
        return None
    described = _describe(loaded, private["val_images"], evaluation, rt)
    return accuracy.rate(accuracy.hits(described.logits, private["val_labels"]))


def _describe(
    loaded: Loaded,
    images: Tensor,
    evaluation: Evaluation,
    rt: Runtime,
    poison: Poison | None = None,
) -> Description:
    # Whatever was described before: a stochastic target meets the same noise at every call.
    with rt.seeded("noise of a stochastic target"):
        return features.describe(
            loaded.model, images, batch_size=evaluation.batch_size, rt=rt, poison=poison
        )


def _stored(images: Tensor, evaluation: Evaluation) -> Tensor:
    return features.stretch(images) if evaluation.stretch else images


def _inception(images: Tensor, evaluation: Evaluation, rt: Runtime) -> Tensor:
    return inception.inception_features(
        images,
        folder=Path(evaluation.inception_weights),
        batch_size=evaluation.batch_size,
        rt=rt,
    )
