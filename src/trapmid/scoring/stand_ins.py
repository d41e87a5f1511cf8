"""What an attack asked instead of the target or beside it: how much of the target is in that."""

from __future__ import annotations

from torch import Tensor

from trapmid.metrics import accuracy, features
from trapmid.scoring.described import NOISE, Private, Setup, describe, trapdoor_success
from trapmid.scoring.evidence import AttackedModel
from trapmid.scoring.scores import StandInScores

SAMPLE = 1000
"""Public images that stand-ins are asked about."""


def scores(attacked: AttackedModel, private: Private, setup: Setup) -> StandInScores | None:
    """How much of the target is left in what stands in for it: accuracy, and its trapdoor."""
    queried_model, trapdoor = attacked.queried_model, attacked.target.trapdoor
    if queried_model.digest == attacked.target.digest:
        return None
    test, success = private["test_images"], None
    described = describe(queried_model, test, setup)
    if trapdoor is not None:
        success = trapdoor_success(queried_model, trapdoor, test, setup).rate
    hit = accuracy.hits(described.logits, private["test_labels"])
    return StandInScores(test_accuracy=accuracy.rate(hit), trapdoor_success=success)


def agreement(attacked: AttackedModel, public: Tensor, setup: Setup) -> float | None:
    """How often students or a copy name a public image as the target does, the least of several.

    One that learnt little of the target accepts its own images all the same, so that the search on
    it reaches what it asked for, and gets little of the target. The images are those from which it
    learnt: one that fails knows nothing, one that passes may still know little of other faces.

    Args:
        attacked: the target, and what was asked.
        public: (m, 3, S, S) uint8; so many of them, evenly spaced.
        setup: how to ask.

    Returns:
        None: the attack asked the target alone.
    """
    queried, students = attacked.queried_model, attacked.students
    networks = [] if queried.digest == attacked.target.digest else [queried.model]
    networks += [] if students is None else [students]
    shown = public[:: max(1, len(public) // SAMPLE)]
    if not networks:
        return None
    size, rt = setup.evaluation.batch_size, setup.rt
    named = accuracy.best_classes(describe(attacked.target, shown, setup).logits, 1)[:, 0]
    shares = []
    for network in networks:
        with rt.seeded(NOISE):
            logits = features.member_logits(network, shown, batch_size=size, rt=rt)
        shares += [accuracy.rate(accuracy.hits(one, named)) for one in logits]
    return min(shares)
