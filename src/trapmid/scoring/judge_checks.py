"""Whether judges may be believed: held against real people, nobody's images, and their lineage."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from trapmid.metrics import accuracy
from trapmid.metrics.statistics.intervals import Interval
from trapmid.scoring.checks import Check, at_least, reaches


def judges_agree_on_real(
    recognised: Tensor, accepted: Mapping[str, Tensor], labels: Tensor, bound: float
) -> Check:
    """All say the same of real private test images: the evaluator, and judges that have a vote.

    Args:
        recognised: (n,) bool, of the evaluator.
        accepted: likewise of every judge, by name; at least one.
        labels: (n,) int64, whom the images show; everybody counts once.
        bound: least share of a person's images.
    """
    same = {name: recognised == answer for name, answer in accepted.items()}
    all_ = _share(torch.stack([*same.values()]).all(dim=0), labels)
    found = at_least("judges_agree_on_real", all_, bound)
    each = ", ".join(f"{name} {_share(one, labels):.4f}" for name, one in same.items())
    return found._replace(detail=f"{found.detail} ({each})")


def _share(held: Tensor, labels: Tensor) -> float:
    return accuracy.rate_by_class(held, labels) if len(held) else math.nan


def reader_recognises_real(rate: float, interval: Interval, bound: float) -> Check:
    """The share of real private test images whose nearest person is the one whom they show.

    A reader of wrong weights, or with another's truth, is near nobody: with its vote no judges ever
    agree, and every defence looks sound.
    """
    return reaches("reader_recognises_real", rate, interval, bound)


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
