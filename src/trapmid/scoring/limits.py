"""How far the gate lets each number move, and by which tolerance."""

from __future__ import annotations

from typing import NamedTuple

from trapmid.config.evaluation import Gate


class Limit(NamedTuple):
    """How far a metric may fall and rise, None: as far as it likes, and by which tolerance."""

    down: float | None
    up: float | None
    shown: str
    kind: str = ""


_KINDS = {
    "test_accuracy": "accuracy",
    "trapdoor_success": "trapdoor_success",
    "aa1": "attack_accuracy",
    "aa5": "attack_accuracy",
    "second_aa1": "attack_accuracy",
    "agree": "agreement",
    "accepted": "agreement",
    "verifier_aa1": "agreement",
    "identity_aa1": "agreement",
    "farther": "looks",
    "signature_auc": "signature",
    "knn_dist": "knn",
    "frechet": "distance",
}
"""Metric -> the tolerance that judges it. The number of successes is AA-1, counted."""

_OF_CONTROLS = ("attack_accuracy", "agreement")
"""Tolerances that a control has another one for: many are recognised, and the rate moves more."""

_RELATIVE = ("knn", "distance")
"""Tolerances that are a share of the baseline's number."""


def limit(metric: str, before: float, tolerances: Gate) -> Limit:
    """How far a metric, by its dotted path, may leave the number `before`."""
    section, name = metric.partition(".")[0], metric.rpartition(".")[2]
    if name == "n":
        return Limit(0.0, 0.0, "the same")  # another number of images is another protocol
    if section == "worst" and name == "attacks":
        return Limit(0.0, None, "-0")  # fewer attacks are no better defence
    kind = "robust" if ".robust_accuracy." in metric else _KINDS.get(name)  # a radius has a dot
    # The worst case is the highest AA-1: its AA-5 jumps where another attack takes the first place,
    # and is judged as that attack's own.
    if kind is None or (section == "worst" and name == "aa5"):
        return Limit(None, None, "-")
    defense = metric.replace(".judges.", ".").split(".")[-2].split("@")[0]
    if kind in _OF_CONTROLS and defense in tolerances.controls:
        kind = "control_accuracy"
    tolerance: float = getattr(tolerances, kind)
    if kind in _RELATIVE:
        reach = tolerance * abs(before)
        return Limit(reach, reach, f"±{shown(100 * tolerance)} %", kind)
    return Limit(tolerance, tolerance, f"±{shown(tolerance)}", kind)


def shown(value: float | bool | None) -> str:
    """A number or a check as the gate's table has it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}"
