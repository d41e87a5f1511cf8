"""How results are judged: scores, checks and the gate.

Kept apart from `study`, so that a new check makes no training stale.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trapmid.config.bounds import Count, Natural, OpenShare, Radii, Share


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How reconstructions are scored."""

    frechet_features: Literal["evaluator", "inception"]
    inception_weights: str  # the file of Inception's weights; weights/none: there is none
    frechet_min_success: Count  # fewer successes than this: the distance is null
    signature_fpr: OpenShare  # false positives on private training images that set the threshold
    verifier_fpr: OpenShare  # false accepts of real impostors that set a verifier's threshold
    robust_radii: Radii  # Linf, of robust accuracy, in pixels of [0, 1]; at least one
    grid_identities: Count  # identities shown in a picture
    neighbours: Count  # k of precision, recall, density and coverage
    matched_size: Count | None  # successes of every row's `frechet_matched`; null: not computed
    batch_size: Count  # images described at once; no score depends on it, but of targets with noise
    public_images: Count | None = None  # at most so many, evenly spread, are described; null: all

    def __post_init__(self) -> None:
        without = Path(self.inception_weights) == Path("weights/none")
        if self.frechet_features == "inception" and without:
            raise ValueError(
                "frechet_features: inception needs inception_weights, "
                "e.g. models/external/inception-2015-12-05.pt"
            )
        if not self.robust_radii:
            raise ValueError("robust_radii: needs a radius")


@dataclass(frozen=True, kw_only=True)
class Checks:
    """Bounds below which a score is not to be believed."""

    evaluator_accuracy: Share  # least test accuracy of the evaluator, everybody counted once
    target_accuracy: Share  # likewise of the undefended target
    target_agreement: Share  # least share of reconstructions that what the attack asked accepts
    stand_in_agreement: Share  # least share of public images that a stand-in names as the target
    positive_control: Share  # least AA-1 of the strongest attack on the undefended target
    judges_agree_on_real: Share  # least share of a person's test images on which all who vote agree
    reader_recognises_real: Share  # likewise, that a voting reader recognises
    trapdoor_success: Share  # least trapdoor success of a trapdoored target


@dataclass(frozen=True, kw_only=True)
class Gate:
    """How far a score may move against the baseline, up or down, before the gate fails."""

    controls: tuple[str, ...]  # defences that do not protect: more is recognised, and it moves more
    why: dict[str, str]  # by tolerance: where its number comes from; printed under the table
    accuracy: Share  # test accuracy of the evaluator and of every target
    trapdoor_success: Share
    attack_accuracy: Share  # AA-1 and AA-5 of a defence that is no control
    control_accuracy: Share  # of a control; judges' rates, too
    agreement: Share  # judges' rates of a defence that is no control: fewer images, smaller rates
    looks: Share  # `farther` of the judge that reads parameters
    signature: Share  # AUC of a trapdoor's signature
    robust: Share  # robust accuracy at every radius
    knn: Share  # KNN distance, as a share of the baseline's
    distance: Share  # Frechet distance, likewise

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.why) - set(TOLERANCES)):
            raise ValueError(f"why: no tolerance {unknown}; there are {', '.join(TOLERANCES)}")


@dataclass(frozen=True, kw_only=True)
class Audited:
    """What `trapmid audit` was given. It changes no result; the report says it."""

    sha256: str  # of the model's file, or of the names and contents of the files in its folder
    left_out: Natural  # people with under `min_images` images
    dropped: Natural  # outputs of the model for some of these; what is attacked lacks them


TOLERANCES = (
    *("accuracy", "trapdoor_success", "attack_accuracy", "control_accuracy", "agreement"),
    *("looks", "signature", "robust", "knn", "distance"),
)
"""The fields of `Gate` that are numbers."""

WEAK = frozenset(
    (
        "evaluator_accuracy",
        "undefended_accuracy",
        "trapdoor_success",
        "target_agreement",
        "stand_in_agreement",
        "positive_control",
        "judges_agree_on_real",
        "reader_recognises_real",
        "blank_images_refused",
        "attack_strength",
    )
)
"""Checks whose failure marks a number as weak: a bound is missed, but what was measured is what is
said. Any other check that fails makes the study invalid."""

UNDEFENDED = "none"
"""The defence name of the positive control."""

FLOOR = "random"
"""The attack that attacks nothing: random latents through the public prior."""

FLOOR_IGNORES = ("target", "queried_model", "side_information")
"""Keys of a row of the floor on which none of its images hangs."""

AUDITED = "audited"
"""The defence name of the model of `trapmid audit`, see profiles/audit_drawn.yaml."""

STRANGER = 0.5
"""An audited model that names less of its people's images learnt other people, or other crops."""
