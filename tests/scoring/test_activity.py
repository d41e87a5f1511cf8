"""A defence that does nothing is named, one that does something is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from painted import MANIFEST, SETUP, Checkpoint, EvaluatorNetwork, Trapped
from torch import Tensor

import toy
from trapmid import wiring
from trapmid.scoring.activity import _IDLE, Training, defense_is_active
from trapmid.scoring.target import score_target
from trapmid.training.trapdoors import Blend


class Bottleneck(EvaluatorNetwork):
    """Called as MID's network is."""


class LowRank(EvaluatorNetwork):
    """Called as LoFt's."""


STRANGERS = "models/pretrained/strangers/model.pt"
SMOOTHING = {"factor": -0.05, "ramp": [0.5, 0.75], "jump": True}
BIDO = {"input_weight": 0.1, "label_weight": 0.0}


def checkpoint(epoch: int = 8, trapdoor: Blend | None = None, **changes: Any) -> Checkpoint:
    meta = {"val_accuracy": 1.0, "defense": "x", "facts": {}, "epoch": epoch, "init": STRANGERS}
    return replace(Checkpoint(Bottleneck(), trapdoor, meta, "target"), **changes)


def blend(alpha: float = 0.1, masks: Tensor | None = None) -> Checkpoint:
    return checkpoint(trapdoor=Blend(torch.rand(4, 3, 8, 8), alpha, masks))


SQUARES = torch.zeros(4, 1, 8, 8)
CORNERS = SQUARES.clone()
CORNERS[..., :2, :2] = 1.0  # as TeD has them: most of an image carries nothing

ACTIVE = [
    ("bido", BIDO, checkpoint()),
    ("bido", {"input_weight": 0.0, "label_weight": 0.5}, checkpoint()),
    ("mid", {"weight": 0.01}, checkpoint()),
    ("negls", {"smoothing": SMOOTHING}, checkpoint(epoch=5)),  # the first with a factor
    ("negls", {"smoothing": SMOOTHING}, checkpoint(epoch=8)),
    ("rolss", {"scale": 0.0}, checkpoint()),
    ("trapmid", {"beta": 0.2}, blend()),
    ("trapmid", {"beta": 0.2, "smoothing": SMOOTHING}, blend()),
    ("trapmid", {"beta": 0.2, "smoothing": None}, blend()),
    ("ted", {"beta": 0.2}, blend(masks=CORNERS)),
    ("ted_plus", {"beta": 0.2}, blend(masks=SQUARES + 1)),
    ("transfer", {"frozen_stages": 2}, checkpoint()),
    ("dpsgd", {"noise_multiplier": 1.0}, checkpoint()),
    ("atat", {"weight": 0.1}, checkpoint()),
    ("midre", {"area": [0.1, 0.4]}, checkpoint()),
    ("loft", {"rank": 2}, checkpoint(model=LowRank())),
]
IDLE = [
    ("bido", {"input_weight": 0.0, "label_weight": 0.0}, checkpoint(), "label_weight are 0"),
    ("mid", {"weight": 0.0}, checkpoint(), "weight is 0"),
    ("mid", {"weight": 0.1}, checkpoint(model=Trapped()), "no bottleneck, it is a Trapped"),
    ("negls", {"smoothing": SMOOTHING | {"factor": 0.0}}, checkpoint(), "factor is 0"),
    ("negls", {"smoothing": SMOOTHING}, checkpoint(epoch=4), "in the kept epoch, 4 of 8"),
    ("negls", {"smoothing": SMOOTHING | {"ramp": [1, 1]}}, checkpoint(), "kept epoch, 8 of 8"),
    (
        "trapmid",
        {"beta": 0.2, "smoothing": SMOOTHING | {"factor": 0.0}},
        blend(),
        "smoothing.factor is 0",
    ),
    ("rolss", {"scale": 1.0}, checkpoint(), "scale is 1"),
    ("loft", {"rank": 2}, checkpoint(), "head is whole, it is a Bottleneck"),
    ("transfer", {}, checkpoint(meta={"init": "weights/random"}), "stages have learnt nothing"),
    ("trapmid", {"beta": 0.2}, blend(alpha=0.0), "alpha is 0"),
    ("trapmid", {"beta": 0.0}, blend(), "beta is 0"),
    ("trapmid", {"beta": 0.2}, checkpoint(), "no trapdoor"),
    ("ted", {"beta": 0.2}, blend(alpha=0.0, masks=SQUARES + 1), "alpha is 0"),
    ("ted_plus", {"beta": 0.2}, blend(masks=SQUARES), "masks are 0"),
]


@pytest.mark.parametrize(("method", "block", "loaded"), ACTIVE)
def test_a_defense_that_takes_part(method: str, block: dict[str, Any], loaded: Checkpoint) -> None:
    found = defense_is_active(loaded, Training(method, block, 8))
    assert found is not None and found.passed, found


@pytest.mark.parametrize(("method", "block", "loaded", "why"), IDLE)
def test_a_defense_that_does_nothing(
    method: str, block: dict[str, Any], loaded: Checkpoint, why: str
) -> None:
    found = defense_is_active(loaded, Training(method, block, 8))
    assert found is not None and found.passed is False
    assert why in found.detail
    assert "\n" not in found.detail


def test_no_defense_is_not_asked() -> None:
    assert defense_is_active(checkpoint(), Training("none", {"augmentation": None}, 8)) is None


def test_of_a_finished_network_no_epoch_is_known() -> None:
    found = defense_is_active(checkpoint(epoch=0), Training("negls", {"smoothing": SMOOTHING}, 0))
    assert found is not None and found.passed


@pytest.mark.parametrize(
    "row", [row for row, (method, _) in toy.BLOCKS.items() if method != "none"]
)
def test_every_defense_of_the_project_is_asked_by_its_own_parameters(row: str) -> None:
    """Its toy block is one that works; the fields that are read are there."""
    method, block = toy.BLOCKS[row]
    loaded = blend(masks=SQUARES + 1 if method.startswith("ted") else None)
    if method == "loft":
        loaded = replace(loaded, model=LowRank())
    found = defense_is_active(loaded, Training(method, block, 8))
    assert found is not None and found.passed, found


def test_every_defense_that_can_be_turned_off_has_a_rule() -> None:
    """DP-SGD refuses such a block itself; a new defence comes here or there."""
    wrong = sorted({*_IDLE, "none", "dpsgd", "atat", "midre"} ^ set(wiring.names("defenses")))
    assert not wrong, (
        f"_IDLE in src/trapmid/scoring/activity.py needs a rule for {wrong}, "
        "or this test says that its block refuses to be turned off"
    )


def test_the_scores_of_a_target_say_it(private: dict[str, Tensor], trapped: Checkpoint) -> None:
    def scored(beta: float) -> dict[str, bool]:
        training = Training("trapmid", {"beta": beta}, 8)
        return score_target("t", trapped, private, MANIFEST, None, SETUP, training).checks

    assert scored(0.2)["defense_is_active"] is True
    assert scored(0.0)["defense_is_active"] is False
    without = score_target("t", trapped, private, MANIFEST, None, SETUP)
    assert "defense_is_active" not in without.checks
