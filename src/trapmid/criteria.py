"""How results are judged: scores, checks and the gate.

Kept apart from `study`, so that a new criterion makes no training stale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How reconstructions are scored."""

    frechet_features: Literal["evaluator", "inception"]
    inception_weights: str  # folder of inception-2015-12-05.pt; read with `inception` only
    frechet_batch: int | None  # official: 100, the rest beyond whole batches dropped; null: all
    frechet_min_success: int  # fewer successes than this: the distance is null
    signature_fpr: float  # false positives on private training images that set the threshold
    grid_identities: int  # identities shown in a picture
    attack_batch: int  # identities per batch of the paper's within-run deviation
    low2high: int | None  # official but for PLG-MI: 8-bit images enlarged by PIL, 112; null: raw
    stretch: bool  # distances from min-max stretched 8-bit images, as the papers' scripts do
    batch_size: int  # images described at once; no score depends on it

    def __post_init__(self) -> None:
        if not 0 < self.signature_fpr < 1:
            raise ValueError(f"signature_fpr: {self.signature_fpr} is outside (0, 1)")
        for name in ("frechet_min_success", "grid_identities", "attack_batch", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is under 1")


@dataclass(frozen=True, kw_only=True)
class Checks:
    """Bounds below which a score is not to be believed."""

    evaluator_accuracy: float  # least test accuracy of the evaluator
    target_accuracy: float  # least test accuracy of the undefended target
    target_agreement: float  # least share of reconstructions that what the attack asked accepts
    positive_control: float  # least AA-1 of the strongest attack on the undefended target
    trapdoor_success: float  # least trapdoor success of a trapdoored target

    def __post_init__(self) -> None:
        for name, bound in vars(self).items():
            if not 0 <= bound <= 1:
                raise ValueError(f"{name}: {bound} is outside [0, 1]")


@dataclass(frozen=True, kw_only=True)
class Gate:
    """How far a score may move against the baseline before the gate fails; fractions."""

    controls: tuple[str, ...]  # defences that do not protect: their attacks must stay strong
    why: dict[str, str]  # by tolerance: where its number comes from; printed under the table
    accuracy_drop: float  # test accuracy of the evaluator and of every target
    trapdoor_drop: float
    attack_rise: float  # AA-1 and AA-5 of every defence that is no control
    attack_drop: float  # AA-1 and AA-5 of the controls: a weaker attack is a broken one

    def __post_init__(self) -> None:
        for name in TOLERANCES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: {getattr(self, name)} is outside [0, 1]")
        if unknown := sorted(set(self.why) - set(TOLERANCES)):
            raise ValueError(f"why: no tolerance {unknown}; there are {', '.join(TOLERANCES)}")


TOLERANCES = ("accuracy_drop", "trapdoor_drop", "attack_rise", "attack_drop")
"""The fields of `Gate` that are numbers."""

WEAK = frozenset(
    (
        "evaluator_accuracy",
        "undefended_accuracy",
        "trapdoor_success",
        "target_agreement",
        "positive_control",
    )
)
"""Checks whose failure marks a number as weak: a bound is missed, but what was measured is what is
said. Any other check that fails makes the study invalid."""

UNDEFENDED = "none"
"""The defence name of the positive control."""
