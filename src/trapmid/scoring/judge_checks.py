"""Whether judges may be believed: held against real people, nobody's images, and their lineage."""

from __future__ import annotations

import math
from collections.abc import Collection

from torch import Tensor

from trapmid.scoring.checks import Check, at_least


def judges_agree_on_real(recognised: Tensor, accepted: Tensor, bound: float) -> Check:
    """The verdicts (n,) bool of evaluator and verifier on real private test images are the same."""
    same = float((recognised == accepted).double().mean()) if len(accepted) else math.nan
    return at_least("judges_agree_on_real", same, bound)


def blank_images_refused(accepted: float, bound: float) -> Check:
    """The share of pairs of an image of nobody and a person that a verifier accepts."""
    passed = accepted <= bound
    return Check("blank_images_refused", passed, f"accepted {accepted:.4f}, most {bound}")


def judge_knows_no_private_person(
    private: Collection[int], learnt: Collection[int], whom: str
) -> Check:
    """None of the private identity numbers is one of those from which a judge learnt.

    Args:
        private, learnt: the numbers.
        whom: the people from whom it learnt, in words.
    """
    known = sum(number in learnt for number in private)
    detail = f"{known} of {len(private)} private people are among {whom}"
    return Check("judge_knows_no_private_person", len(private) > 0 and not known, detail)
