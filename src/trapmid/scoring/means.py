"""The scores of a whole study, typed: what reports/metrics.json holds.

Rates are fractions in [0, 1]. A number is the mean over the seeds that have one, None if none has.
`intervals` has the 95 % interval of a number by its name, which is missing where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from trapmid.artifacts import results
from trapmid.metrics.statistics.comparisons import Verdict
from trapmid.metrics.statistics.intervals import Interval
from trapmid.scoring.machine import Machine


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Which study it was."""

    profile: str
    seeds: tuple[int, ...]  # of its targets, ascending


@dataclass(frozen=True, kw_only=True)
class EvaluatorMeans:
    """The evaluators."""

    test_accuracy: float | None
    intervals: dict[str, Interval] = field(default_factory=dict)  # of one evaluator


@dataclass(frozen=True, kw_only=True)
class TargetMeans:
    """The targets of one defence."""

    test_accuracy: float | None
    trapdoor_success: float | None  # None: no trapdoor
    robust_accuracy: dict[str, float] = field(default_factory=dict)  # by Linf radius, ascending
    failed: tuple[str, ...] | None = None  # checks that one of them failed; None: an older file
    intervals: dict[str, Interval] = field(default_factory=dict)  # e.g. of robust_accuracy.0.0039


@dataclass(frozen=True, kw_only=True)
class JudgedMeans:
    """What the judges beside the evaluator say of the same images: `judged.JudgedScores`."""

    agree: float | None  # share on which all judges agree, the evaluator among them
    accepted: float | None  # share that the verifier accepts; None: no verifier
    verifier_aa1: float | None  # share that is nearest to the person's template
    identity_aa1: float | None  # share that is nearest to the person by parameters; None: no reader
    farther: float | None = None  # share of others who are farther by parameters; None: likewise
    second_aa1: float | None = None  # AA-1 by another evaluator; None: none was asked


@dataclass(frozen=True, kw_only=True)
class RecognitionMeans:
    """What the evaluator makes of the images of one attack on one defence: `scores.Recognition`."""

    aa1: float | None
    aa5: float | None
    knn_dist: float | None
    frechet: float | None
    n_success: float | None
    n: float | None
    intervals: dict[str, Interval] = field(default_factory=dict)  # of aa1 and aa5
    judges: JudgedMeans | None = None  # None: no judge was asked
    signature_auc: float | None = None  # public images against reconstructions; None: no trapdoor


@dataclass(frozen=True, kw_only=True)
class WorstCase:
    """The strongest attack on one defence."""

    attack: str | None  # None: none ran
    aa1: float | None
    aa5: float | None
    attacks: int  # how many ran
    failed: tuple[str, ...]  # those among them that failed a check
    intervals: dict[str, Interval] = field(default_factory=dict)  # the attack's own


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How far the seeds of one number lie apart; None: too few of them."""

    population: float | None
    sample: float | None
    values: dict[str, float | None]  # by seed


@dataclass(frozen=True, kw_only=True)
class Spreads:
    """By defence, and by attack and defence: the spread of the numbers that say most, by name."""

    targets: dict[str, dict[str, Spread]]
    attacks: dict[str, dict[str, dict[str, Spread]]]


@dataclass(frozen=True, kw_only=True)
class Tested:
    """A difference against its deviation, between seeds or between people."""

    interval: Interval | None  # None: all differ alike, or there is one alone
    p: float  # two-sided
    p_holm: float  # corrected for all comparisons of one measure that are tested alike
    detectable: float | None  # the least true difference found with power 0.8, without correction
    verdict: Verdict  # by p_holm, at 0.05


Measure = Literal["aa1", "agree"]
"""Whose word is compared: the evaluator's alone, or that of all judges with a voice."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two defences under one attack, on the same people and seeds."""

    measure: Measure = "aa1"
    attack: str  # `worst case`: of each defence the attack that is its own, by this measure
    defense: str
    against: str
    difference: float  # the rate of `defense` less that of `against`
    seeds: tuple[int, ...]  # that both have, by the same evaluator and judges
    identities: int  # attacked in all of these runs
    these_targets: Tested  # over people: it holds for the targets that were trained, no others
    over_seeds: Tested | None  # for the defence; None: fewer than three seeds
    verdict: Verdict  # for the defence
    reason: str  # one line
    doubted: tuple[str, ...] = ()  # the checks that failed and leave no verdict


@dataclass(frozen=True, kw_only=True)
class StudyMeans:
    """One study. What has a default is missing in baselines that are older than it."""

    study: Origin | None = None
    evaluator: EvaluatorMeans
    targets: dict[str, TargetMeans]  # by defence
    attacks: dict[str, dict[str, RecognitionMeans]]  # by attack and defence
    worst: dict[str, WorstCase] = field(default_factory=dict)  # by defence
    references: dict[str, RecognitionMeans] = field(default_factory=dict)  # floor and ceiling
    spread: Spreads | None = None
    comparisons: tuple[Comparison, ...] = ()
    computed_on: tuple[Machine, ...] = ()  # on which rows were scored, each once
    checks: dict[str, bool]  # by name: whether it held in every row

    def to_json(self) -> dict[str, Any]:
        """The content of reports/metrics.json."""
        content: dict[str, Any] = _plain(asdict(self))
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any], file: Path) -> Self:
        """The means in `content`, which was read from `file`.

        Raises:
            ResultError: a key is missing, unknown or of another type; one line names file and key.
        """
        return results.typed(cls, content, file)

    @classmethod
    def read(cls, file: Path) -> Self:
        """The means in `file`.

        Raises:
            ResultError: it is missing or malformed.
        """
        return cls.from_json(results.read_json(file), file)


LATER_NUMBERS = ("farther", "second_aa1", "signature_auc")
"""Numbers that older files lack."""

_LATER = (
    "intervals",
    "comparisons",
    "judges",
    "robust_accuracy",
    "computed_on",
    "doubted",
    "threads",
    "gpu",
)
"""What older files lack; left out where it is empty, so that a file comes back as it was."""


def _left_out(key: str, value: Any) -> bool:
    """An attack that fails nothing has an empty `failed`, a number may be 0: both are said."""
    if key in (*LATER_NUMBERS, "failed"):
        return value is None
    return key in _LATER and not value


def _plain(value: Any) -> Any:
    """As a file has it: lists for tuples."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if not _left_out(key, item)}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
