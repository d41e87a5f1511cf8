"""What an attack's judges say of real private test images: whether they can be believed, and how
much of a refusal is the judge's own severity."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trapmid.artifacts.judges import LoadedJudge, Panel
from trapmid.metrics import accuracy
from trapmid.metrics.statistics.intervals import Interval, of_rate
from trapmid.scoring import judge_checks
from trapmid.scoring.checks import Check
from trapmid.scoring.described import Private, Setup, describe
from trapmid.scoring.judged import RefusedReal
from trapmid.scoring.recognition import Evaluator
from trapmid.types import Reader


class OnReal(NamedTuple):
    """Evaluator and judges on the same real test images; empty where no judge has a vote."""

    checks: list[Check]
    refused: dict[str, RefusedReal]  # by judge
    agree: float | None  # share of a person's images on which all of them agree, over people
    intervals: dict[str, Interval]  # over people, by the number's path in an attack's scores


def on_real(evaluator: Evaluator, panel: Panel, private: Private, setup: Setup) -> OnReal:
    """Holds the judges that have a vote against the evaluator, on real private test images."""
    answers = _answers(panel)
    if not answers:
        return OnReal([], {}, None, {})
    labels = private["test_labels"]
    seen = describe(evaluator.loaded, private["test_images"], setup)
    recognised = accuracy.hits(seen.logits, labels)
    agreed = torch.stack([recognised, *answers.values()]).all(dim=0)
    refused, within = {}, {"judges.agree_on_real": of_rate(agreed, labels, equal=True)}
    for name, accepted in answers.items():
        of_recognised = ~accepted[recognised]
        some = bool(recognised.any())
        refused[name] = RefusedReal(
            n_recognised=int(recognised.sum()),
            refused_of_recognised=accuracy.rate(of_recognised) if some else None,
        )
        if some:
            path = f"judges.ceiling.{name}.refused_of_recognised"
            within[path] = of_rate(of_recognised, labels[recognised])
    bound = setup.bounds.judges_agree_on_real
    check = judge_checks.judges_agree_on_real(recognised, answers, labels, bound)
    return OnReal([check], refused, accuracy.rate_by_class(agreed, labels), within)


def _answers(panel: Panel) -> dict[str, Tensor]:
    """Whom each judge with a vote takes for the person shown, (n,) bool of the test images."""
    there = {"verifier": panel.verifier, "identity": panel.identity}
    return {
        name: judge.reference["test_accepted"]
        for name, judge in there.items()
        if judge is not None and _votes(judge)
    }


def _votes(judge: LoadedJudge) -> bool:
    return not isinstance(judge.judge, Reader) or judge.judge.votes
