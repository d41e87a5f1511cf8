"""What one target is worth: its accuracy, and whether its trapdoor works."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from torch import Tensor

from trapmid.config.evaluation import UNDEFENDED
from trapmid.metrics import theory
from trapmid.metrics.features import Description, Poison
from trapmid.metrics.statistics.intervals import Interval
from trapmid.metrics.theory import Theory
from trapmid.scoring import checks, data_checks, robustness
from trapmid.scoring.activity import Training, defense_is_active
from trapmid.scoring.described import (
    NOISE,
    Examined,
    Loaded,
    Private,
    Setup,
    Success,
    describe,
    examine,
    probes,
    trapdoor_success,
    triggered_classes,
)
from trapmid.scoring.references import SignatureReference
from trapmid.scoring.robustness import Measured
from trapmid.scoring.scores import TargetScores, rounded
from trapmid.types import Trapdoor


def score_target(
    row: str,
    loaded: Loaded,
    private: Private,
    manifest: Iterable[Mapping[str, str]],
    reference: SignatureReference | None,
    setup: Setup,
    training: Training | None = None,
) -> TargetScores:
    """Scores of one target.

    Args:
        row: the target's name.
        loaded: the target.
        private: the private images, (n, 3, S, S) uint8, and labels.
        manifest: the rows of manifest.csv, which says who is in which split.
        reference: the signature of its trapdoor; None: it has none.
        setup: how to score.
        training: how it was trained; without it nothing is said of its defence's part in it.
    """
    examined = examine(loaded, private, setup)
    success, measured = _trapdoor(loaded, private, examined.test, setup)
    robust = robustness.measure(loaded, private, examined.test, setup)
    results = _checks(loaded, private, manifest, examined, success, robust, setup)
    if training is not None and (active := defense_is_active(loaded, training)) is not None:
        results.append(active)
    scores = TargetScores(
        row=row,
        defense=loaded.meta["defense"],
        seed=setup.rt.seed,
        test_accuracy=examined.test_accuracy,
        balanced_accuracy=examined.knows.rate,
        val_accuracy=examined.val_accuracy,
        n_test=len(private["test_images"]),
        trapdoor_success=None if success is None else success.rate,
        n_trapdoor=0 if success is None else success.pairs,
        intervals=_intervals(examined, success),
        theory=measured,
        robustness=robust.robustness,
        adversarial=()
        if reference is None
        else robustness.detection(loaded, private, examined.test, reference, setup),
        stochastic=loaded.model.stochastic,
        facts={},
        checks=checks.verdicts(results),
        failed_checks=checks.failures(results),
    )
    # Not rounded: what a training guarantees holds for these very numbers, however small.
    return replace(rounded(scores), facts=dict(loaded.meta["facts"]))


def _trapdoor(
    loaded: Loaded, private: Private, test: Description, setup: Setup
) -> tuple[Success | None, Theory | None]:
    """Trapdoor success, and what the theory says of it (section 3.4); None: no trapdoor.

    A test image gets the trigger of a class, unaugmented, and succeeds where the target answers
    that class (Trap-MID, App. C.4). Every image meets as many classes as are needed for a precise
    share, at most each once. The first balanced random list of classes, one an image, also measures
    the theory.
    """
    if loaded.trapdoor is None:
        return None, None
    success = trapdoor_success(loaded, loaded.trapdoor, private["test_images"], setup)
    return success, _theory(loaded, loaded.trapdoor, private, test, setup)


def _intervals(examined: Examined, success: Success | None) -> dict[str, Interval]:
    found = {"test_accuracy": examined.interval}
    return found if success is None else found | {"trapdoor_success": success.interval}


def _checks(
    loaded: Loaded,
    private: Private,
    manifest: Iterable[Mapping[str, str]],
    examined: Examined,
    success: Success | None,
    robust: Measured,
    setup: Setup,
) -> list[checks.Check]:
    results = [*examined.checks, _gradients(loaded, private, setup), robust.check]
    results += data_checks.data_disjoint(manifest, validation=examined.val_accuracy is not None)
    if success is not None:
        least = setup.bounds.trapdoor_success
        results.append(checks.reaches("trapdoor_success", success.rate, success.interval, least))
    if loaded.meta["defense"] == UNDEFENDED:
        least = setup.bounds.target_accuracy
        results.append(checks.reaches("undefended_accuracy", *examined.knows, least))
    return results


def _gradients(loaded: Loaded, private: Private, setup: Setup) -> checks.Check:
    with setup.rt.seeded(NOISE, "gradients"):
        return checks.gradients_reach_images(loaded.model, *probes(private, setup.rt))


def _theory(
    loaded: Loaded, trapdoor: Trapdoor, private: Private, benign: Description, setup: Setup
) -> Theory:
    """Section 3.4, with one trigger for each test image."""
    test, size = private["test_images"], setup.evaluation.batch_size
    classes = triggered_classes(len(test), loaded.model.num_classes, setup.rt)
    poison = Poison(trapdoor, classes)
    poisoned = describe(loaded, test, setup, poison)

    def group(logits: Tensor, labels: Tensor, poison: Poison | None = None) -> theory.Group:
        return theory.Group(logits, labels, theory.pixel_features(test, size, poison))

    return theory.measure(
        group(benign.logits, private["test_labels"]),
        group(poisoned.logits, classes, poison),
        setup.rt,
    )
