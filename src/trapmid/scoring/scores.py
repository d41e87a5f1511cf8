"""The scores of one row, typed: what `reports/scores/<section>/<row>.json` holds.

Rates are fractions in [0, 1]. A number that could not be measured is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, cast

from trapmid.artifacts import results
from trapmid.metrics.neighbours import NearestPrivate
from trapmid.metrics.prdc import Prdc
from trapmid.metrics.robustness import ExampleDetection, Robustness
from trapmid.metrics.signature import Detection
from trapmid.metrics.statistics.intervals import Interval
from trapmid.metrics.theory import Theory
from trapmid.scoring.judged import IdentityScores, JudgedScores, VerifierQuality
from trapmid.scoring.machine import Machine

T = TypeVar("T")
R = TypeVar("R", bound="RowScores")


@dataclass(frozen=True, kw_only=True)
class RowScores:
    """What the scores of every kind of row have in common."""

    section: ClassVar[str]  # of params.yaml

    row: str
    checks: dict[str, bool]  # by name: whether the check passed
    failed_checks: dict[str, str]  # by name of a failed check: what is wrong, one line
    computed_on: Machine | None = None  # None: the file is older

    def to_json(self) -> dict[str, Any]:
        """The content of the row's file."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any], file: Path) -> Self:
        """The scores in `content`, which was read from `file`.

        Raises:
            ResultError: a key is missing, unknown or of another type; one line names file and key.
        """
        return results.typed(cls, content, file)

    @classmethod
    def read(cls, root: Path, row: str) -> Self:
        """The scores of `row` of the study in the folder `root`.

        Raises:
            ResultError: the file is missing or malformed.
        """
        file = results.scores_path(root, cls.section, row)
        return cls.from_json(results.read_json(file), file)


@dataclass(frozen=True, kw_only=True)
class Recognition:
    """What the evaluator makes of images of known class."""

    aa1: float  # AA-1: share of a person's images that it names rightly, the mean over people
    aa5: float  # AA-5: among its first five
    knn_dist: float | None  # mean squared L2 to the nearest private image; None: no image
    frechet: float | None  # None: too few successes
    n_success: int
    n: int
    # Over people: of aa1 and aa5; of an attack judges' and the signature's numbers, too, by path.
    intervals: dict[str, Interval]


@dataclass(frozen=True, kw_only=True)
class WithinRun:
    """How far the draws of one run lie apart: sample deviation of their rates; None: one draw."""

    aa1_std: float | None
    aa5_std: float | None


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """How much reconstructions look like the private images; all in the evaluator's features.

    Without `kid` and `frechet_matched`, which see what `frechet` sees, successes alone, a number is
    of every image that the attack found. None: too few images.
    """

    kid: float | None  # unbiased, so of any number of successes
    kid_std: float | None  # over subsets of `evaluation.matched_size` images
    frechet_matched: float | None  # of so many successes: comparable from row to row
    prdc: Prdc | None
    prdc_ppa: Prdc | None  # per class, as PPA's code and so Trap-MID's table 11: another definition
    nearest_private: NearestPrivate | None
    covered: float | None  # share of attacked people's private images that one comes close to


@dataclass(frozen=True, kw_only=True)
class PaperScores:
    """The attack's scores as the code behind the papers' tables computes them.

    Comparable with published numbers of the same attack. Recognition differs from the standard one
    in what the evaluator is shown, and there is no floor under the number of successes.
    """

    aa1: float
    aa5: float
    aa1_std: float | None  # within the run, over its attack batches; None: one draw
    aa5_std: float | None
    knn_dist: float | None  # None: no image, or the code computes no distance
    frechet: float | None  # None: under two successes, or likewise
    n_success: int
    signature: Detection | None  # None: as the standard one
    attack_batch: int
    pixels: int  # of the images whose accuracy is taken


@dataclass(frozen=True, kw_only=True)
class EvaluatorScores(RowScores):
    """Scores of one evaluator."""

    section: ClassVar[str] = "evaluators"

    test_accuracy: float
    val_accuracy: float | None  # None: there is no validation split
    n_test: int
    intervals: dict[str, Interval]  # of test_accuracy, over people
    ceiling: Recognition  # real private test images, scored as if an attack had made them
    ceiling_fidelity: Fidelity | None  # likewise


@dataclass(frozen=True, kw_only=True)
class TargetScores(RowScores):
    """Scores of one target."""

    section: ClassVar[str] = "targets"

    defense: str
    seed: int
    test_accuracy: float
    balanced_accuracy: float  # of a person's test images, the mean over people
    val_accuracy: float | None  # None: there is no validation split
    n_test: int
    trapdoor_success: float | None  # None: no trapdoor
    n_trapdoor: int  # pairs of an image and a trigger behind it
    # Of test_accuracy, over people, and of trapdoor_success, over images.
    intervals: dict[str, Interval]
    theory: Theory | None  # None: no trapdoor
    robustness: Robustness
    adversarial: tuple[ExampleDetection, ...]  # empty: no trapdoor
    stochastic: bool
    facts: dict[str, float]  # what the training guarantees, e.g. a privacy budget; never rounded


@dataclass(frozen=True, kw_only=True)
class Count:
    """One number per reconstruction, e.g. the queries of each, over all of them."""

    mean: float
    max: float
    sum: float


@dataclass(frozen=True, kw_only=True)
class StandInScores:
    """How much of the target is left in what stands in for it."""

    test_accuracy: float
    trapdoor_success: float | None  # of the target's triggers; None: the target has none


@dataclass(frozen=True, kw_only=True)
class AttackProtocol:
    """How the attack was scored, as far as its numbers depend on it."""

    identities: int
    images_per_identity: int
    frechet_features: str
    evaluator: str  # row of `evaluators`


@dataclass(frozen=True, kw_only=True)
class AttackScores(RowScores, Recognition, WithinRun):
    """Scores of one attack on one target."""

    section: ClassVar[str] = "attack_runs"

    attack: str
    defense: str
    target: str  # row of `targets`
    seed: int
    coverage: float  # share of the attempted reconstructions that were found
    left_out: int  # not attempted by design
    counts: dict[str, Count]
    frechet_features: str
    target_agreement: float | None  # None: nothing was found
    # Share of public images that what was asked beside or instead of the target names as it does,
    # of several the least; None: the attack asked the target alone.
    stand_in_agreement: float | None
    queried_agreement: float | None
    stand_in: StandInScores | None  # None: the target itself was asked
    signature: Detection | None  # None: no trapdoor, or nothing was found
    fidelity: Fidelity | None  # None: under two images were found
    paper: PaperScores | None  # None: the attack has no released code
    judges: JudgedScores | None  # None: the row names no judge
    protocol: AttackProtocol


@dataclass(frozen=True, kw_only=True)
class JudgeScores(RowScores):
    """Scores of one judge: of its own errors, and the ceiling of what it measures."""

    section: ClassVar[str] = "judges"

    method: str
    learnt_from: str  # one line
    n_test: int
    verifier: VerifierQuality | None  # None: the judge reads parameters
    identity: IdentityScores | None  # of real private test images; None: the judge verifies
    reliability: dict[str, float]  # of every parameter that it reads; empty: it reads none
    votes: bool = True  # whether it has a voice in "all judges agree"
    # Over people: of verifier.true_accepts, identity.aa1, ... Empty: the file is older.
    intervals: dict[str, Interval] = field(default_factory=dict)


Judges = Mapping[str, JudgeScores]
Evaluators = Mapping[str, EvaluatorScores]
Targets = Mapping[str, TargetScores]
Attacks = Mapping[str, AttackScores]


KINDS: dict[str, type[RowScores]] = {
    kind.section: kind for kind in (EvaluatorScores, TargetScores, JudgeScores, AttackScores)
}
"""By section of params.yaml: the scores of its rows. Other sections have none."""


def read_all(kind: type[R], root: Path, rows: Iterable[str]) -> dict[str, R]:
    """The scores of every one of `rows`, in their order.

    Raises:
        ResultError: a file is missing or malformed.
    """
    return {row: kind.read(root, row) for row in rows}


def machines(*parts: Mapping[str, RowScores]) -> tuple[Machine, ...]:
    """On what the rows were scored, each machine once; rows of older files say nothing."""
    found = (scores.computed_on for part in parts for scores in part.values())
    return tuple(dict.fromkeys(one for one in found if one is not None))


def rounded(value: T, digits: int = 6) -> T:
    """`value` with every float inside rounded: the last bits of a sum are not worth a diff."""
    return cast(T, _rounded(value, digits))


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, float):
        return round(value, digits) + 0.0  # no -0.0
    if isinstance(value, list | tuple):
        return type(value)(_rounded(item, digits) for item in value)
    if isinstance(value, Mapping):
        return {key: _rounded(item, digits) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        parts = {one.name: getattr(value, one.name) for one in fields(value)}
        return replace(value, **_rounded(parts, digits))
    return value
