"""Numbers of the judges, as means over the seeds of one attack on one defence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trapmid.metrics.statistics.intervals import Interval, of_cell
from trapmid.report.averages import mean_of
from trapmid.report.groups import Groups
from trapmid.report.words import percent, rate
from trapmid.scoring.scores import AttackScores

_ON_REAL = "judges.agree_on_real"


class Measured(NamedTuple):
    """A mean over seeds; None: no seed has the number."""

    value: float | None
    interval: Interval | None = None  # None: none is known
    within: tuple[Interval, ...] = ()  # those within the runs, as far as they have one

    @property
    def ends(self) -> tuple[float, float] | None:
        """Those of a confidence interval, on which a verdict can rest.

        The range of two seeds is none. What holds for them reaches over the intervals within both
        runs: it says something of these two trained targets, and nothing of another training.
        """
        if self.interval is None:
            return None
        if self.interval.kind != "range":
            return self.interval.low, self.interval.high
        if len(self.within) < self.interval.n:
            return None
        return min(one.low for one in self.within), max(one.high for one in self.within)

    def words(self) -> str:
        """In percent, with the interval's ends in brackets, whole to keep a table narrow."""
        if self.value is None or self.interval is None:
            return rate(self.value, 1)
        low, high = self.interval.low, self.interval.high
        return f"{rate(self.value, 1)} ({rate(low, 0)}–{rate(high, 0)})"


def measured(rows: Sequence[AttackScores], path: str) -> Measured:
    """The mean of one number over rows, one of each seed, and its interval.

    Args:
        rows: of one attack on one defence.
        path: the number's names with dots between them, e.g. `judges.verifier.accepted`.
    """
    found = [(value, row) for row in rows if (value := at(row, path)) is not None]
    if not found:
        return Measured(None)
    within = [row.intervals[path] for _, row in found if path in row.intervals]
    values = [value for value, _ in found]
    return Measured(mean_of(values), of_cell(values, within), tuple(within))


class OnReal(NamedTuple):
    """The share of real test images on which all judges agree, by those who agree on least."""

    least: Measured
    several: bool  # attacks were judged by different judges, and others agree on as many or more

    @property
    def share(self) -> str:
        """In percent with its sign, as a sentence has it."""
        return f"{'at least ' * self.several}{percent(self.least.value, 1)}"

    def words(self) -> str:
        """As `Measured.words`, for a table."""
        return f"{'≥ ' * self.several}{self.least.words()}"


def agreed_on_real(params: Mapping[str, Any], runs: Mapping[str, AttackScores]) -> OnReal | None:
    """The share of real test images of the study's first data on which all judges agree.

    It is the same in all runs that the same evaluator, verifier and reader judged. Of several such
    panels it is that of the strictest: they are no seeds of one, and have no mean.

    Args:
        params: params.yaml.
        runs: the scores of attack runs.

    Returns:
        None: no judge saw real images.
    """
    of_first = set(Groups.of(params).evaluators)
    by_panel = {
        tuple(str(block.get(judge)) for judge in ("evaluator", "verifier", "identity")): runs[row]
        for row, block in params["attack_runs"].items()
        if block["evaluator"] in of_first and at(runs[row], _ON_REAL) is not None
    }
    if not by_panel:
        return None
    least = min(by_panel.values(), key=lambda scores: float(at(scores, _ON_REAL)))
    return OnReal(measured([least], _ON_REAL), len(by_panel) > 1)


def verifier_method(params: Mapping[str, Any], run: Mapping[str, Any]) -> str | None:
    """The method of the verifier that a block of attack_runs names; None: it names none."""
    row = params["judges"].get(Path(str(run.get("verifier", ""))).stem)
    return None if row is None else str(row["method"])


def at(scores: Any, path: str) -> Any:
    """The number of `scores` at a path with dots; None where a part of it is None or missing."""
    for name in path.split("."):
        scores = scores.get(name) if isinstance(scores, Mapping) else getattr(scores, name)
        if scores is None:
            return None
    return scores
