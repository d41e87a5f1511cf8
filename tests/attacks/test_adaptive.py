"""The terms of equation 7 (Trap-MID) in every search that follows the target's gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from test_attacks import DRAWS, LABELS, attack, known, run, world
from test_ppa import poincare
from torch import Tensor

from trapmid.types import NOTHING, Output, Reconstruction

WEIGHTS = {"trapdoor_weight": 0.7, "auxiliary_weight": 0.2}
SEARCHES = ["gmi", "kedmi", "lomma", "lomma, distributions", "ifgmi"]
SETTINGS: dict[str, dict[str, Any]] = {"ifgmi": {"layer": 0, "realism_weight": 0.0}}


def terms(output: Output) -> Tensor:
    """Away from the signature of the predicted class, towards the attacked one's auxiliary."""
    knows = known()
    assert knows.signatures is not None and knows.auxiliary is not None
    away = F.cosine_similarity(output.features, knows.signatures[output.logits.argmax(1)])
    near = F.cosine_similarity(output.features, knows.auxiliary[LABELS])
    return 0.7 * away - 0.2 * near


@torch.no_grad()
def literal_loss(name: str, found: Reconstruction) -> Tensor:
    """The loss (N,) of images as each paper has it, with the terms beside its identity loss."""
    target, prior = world(name)
    target.eval(), prior.eval()
    output, knows = target(found.images), known()
    own = output.logits.gather(1, LABELS[:, None])[:, 0]
    if name == "ifgmi":
        return poincare(output.logits.double(), LABELS) + terms(output)
    realism = prior.realism(found.images, LABELS)
    identity = torch.logsumexp(output.logits, dim=1) - own
    if name.startswith("lomma"):
        assert knows.students is not None and knows.feature_mean is not None
        members = knows.students.eval().members  # type: ignore[union-attr]
        own = own + sum(
            one(found.images).logits.gather(1, LABELS[:, None])[:, 0] for one in members
        )
        identity = -own / 3 + 0.1 * (output.features - knows.feature_mean).square().mean(dim=1)
    return 20 * (identity + terms(output)) - realism


@pytest.mark.parametrize("name", SEARCHES)
def test_the_loss_has_both_terms_inside_the_identity_loss(name: str) -> None:
    settings = SETTINGS.get(name, {})
    found = run(attack(name, adaptive=WEIGHTS, **settings), *world(name), LABELS, DRAWS)
    assert torch.allclose(found.losses.double(), literal_loss(name, found).double(), atol=1e-3)


@pytest.mark.parametrize("name", SEARCHES)
def test_the_search_follows_them(name: str) -> None:
    settings, knows = SETTINGS.get(name, {}), known()
    assert knows.auxiliary is not None and knows.signatures is not None

    def closeness(weights: dict[str, float] | None, to: Tensor) -> float:
        target, prior = world(name)
        found = run(attack(name, adaptive=weights, **settings), target, prior, LABELS, DRAWS)
        with torch.no_grad():
            features = target.eval()(found.images).features
        return F.cosine_similarity(features, to[LABELS]).mean().item()

    seek = {"trapdoor_weight": 0.0, "auxiliary_weight": 50.0}
    assert closeness(seek, knows.auxiliary) > closeness(None, knows.auxiliary) + 0.01


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_says_what_it_needs(name: str) -> None:
    knows = known()._replace(signatures=None, auxiliary=None)
    with pytest.raises(ValueError, match="side_information: the method needs signatures, auxil"):
        run(attack(name, adaptive=WEIGHTS), *world(name), LABELS, DRAWS, side_information=knows)
    if not name.startswith("lomma"):
        run(attack(name), *world(name), LABELS, DRAWS, side_information=NOTHING)
