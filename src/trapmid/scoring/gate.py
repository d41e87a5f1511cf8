"""The regression gate: today's reports/metrics.json against the committed baseline.

Every number that has a tolerance (`limits`) is judged in both directions. A target that leaks less
is no better protected where the attack has become weak, and no broken score says by its sign what
broke. Who made a defence better takes a new baseline.

A check whose failure makes a study invalid must hold. A weak one may fail where it failed in the
baseline, too: it is marked. But no attack and no target may fail it that did not before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from trapmid.config.evaluation import TOLERANCES, WEAK, Gate
from trapmid.scoring import limits
from trapmid.scoring.machine import Machine
from trapmid.scoring.means import LATER_NUMBERS, StudyMeans

_ROUNDING = 1e-9  # 0.90 - 0.88 is a little more than 0.02 in binary


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One line of the gate's table."""

    metric: str
    baseline: float | bool | None
    now: float | bool | None
    allowed: str
    passed: bool
    note: str
    kind: str = ""  # the tolerance that was applied, a field of `Gate`


Leaves = Mapping[str, float | bool | None]
"""Numbers and checks of a study by dotted path."""


def compare(now: StudyMeans, baseline: StudyMeans, tolerances: Gate) -> list[Verdict]:
    """A verdict on every number of both studies; a change that is too large does not pass.

    A metric that only the new study has is listed and passes. A check must hold, whatever it did
    in the baseline; a weak one must hold if it did there.

    Args:
        now, baseline: of one profile and the same seeds, see `other_study`.
        tolerances: how far a number may move.
    """
    old, new = flatten(baseline), flatten(now)
    verdicts = [_judge(metric, old, new, tolerances) for metric in {**old, **new}]
    return [*verdicts, *_newly_failed(now, baseline)]


def other_study(now: StudyMeans, baseline: StudyMeans) -> str | None:
    """Why the numbers of two studies cannot be compared; None: they can, or one does not say."""
    if now.study is None or baseline.study is None or now.study == baseline.study:
        return None
    ours, theirs = now.study, baseline.study
    if other_profile(now, baseline):
        return f"of profile {theirs.profile}, the scores are of {ours.profile}"
    return f"of {_seeds(theirs.seeds)}, the scores are of {_seeds(ours.seeds)}"


def other_profile(now: StudyMeans, baseline: StudyMeans) -> bool:
    """Whether both say a profile, and not the same one."""
    if now.study is None or baseline.study is None:
        return False
    return now.study.profile != baseline.study.profile


def other_machine(now: StudyMeans, baseline: StudyMeans) -> str | None:
    """That the scores come from other machines, one line; None: they do not, or one does not say.

    It decides nothing: the tolerances are wide enough for another processor (docs/machines.md).
    """
    ours, theirs = now.computed_on, baseline.computed_on
    if not ours or not theirs or (_all_in(ours, theirs) and _all_in(theirs, ours)):
        return None
    return f"scored on {_listed(ours)}; the baseline on {_listed(theirs)}: last bits differ"


def _all_in(ours: Collection[Machine], theirs: Collection[Machine]) -> bool:
    """Whether each of `ours` is one of `theirs`, as far as they say."""
    return all(any(one.agrees(other) for other in theirs) for one in ours)


def _listed(machines: Collection[Machine]) -> str:
    return " and ".join(sorted(set(map(str, machines))))


def failures(study: StudyMeans, *, weak: bool) -> list[str]:
    """The checks that failed: the weak ones, or those that make the study invalid."""
    checks = study.checks.items()
    return sorted(name for name, passed in checks if not passed and (name in WEAK) == weak)


def flatten(study: StudyMeans) -> dict[str, float | bool | None]:
    """The study's leaves by dotted path, as its file has them.

    Left out are `spread` and `study`, which depend on the seeds, `computed_on`, intervals and
    comparisons, which follow from what is judged, which attack a worst case is, and judges that
    nobody asked. Numbers that older files lack are there where they are numbers.
    """
    parts = ("evaluator", "targets", "attacks", "worst", "references", "checks")
    content = asdict(study)
    leaves = _leaves({part: content[part] for part in parts}, "")
    return {
        path: value
        for path, value in leaves
        if not path.endswith((".attack", ".failed", ".judges"))
        and ".intervals." not in path
        and not (value is None and path.rpartition(".")[2] in LATER_NUMBERS)
    }


def table(verdicts: Sequence[Verdict], tolerances: Gate) -> str:
    """The verdicts as text, regressions last, where a terminal shows them.

    Under them stands, of every tolerance that was applied, where its number comes from.
    """
    ordered = sorted(verdicts, key=lambda verdict: not verdict.passed)
    lines = _aligned([_row(verdict) for verdict in ordered])
    why = _sources({verdict.kind for verdict in verdicts}, tolerances)
    failed = sum(not verdict.passed for verdict in verdicts)
    end = f"gate: {failed} of {len(verdicts)} failed" if failed else f"gate: {len(verdicts)} passed"
    return "\n".join([*lines, "", *why, *[""] * bool(why), end])


class _Row(NamedTuple):
    """One line of the table."""

    metric: str
    baseline: str
    now: str
    allowed: str
    verdict: str  # the last column, which needs no width


_HEAD = _Row("metric", "baseline", "now", "allowed", "verdict")


def _row(verdict: Verdict) -> _Row:
    return _Row(
        verdict.metric,
        limits.shown(verdict.baseline),
        limits.shown(verdict.now),
        verdict.allowed,
        ("ok" if verdict.passed else "FAIL") + (f"  {verdict.note}" if verdict.note else ""),
    )


def _aligned(rows: Sequence[_Row]) -> list[str]:
    """The rows under their head, in columns."""
    under = _Row(*("-" * len(name) for name in _HEAD))
    widths = [max(len(row[i]) for row in [_HEAD, *rows]) for i in range(4)]
    return [
        "  ".join(
            [*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row.verdict]
        )
        for row in [_HEAD, under, *rows]
    ]


def _sources(kinds: Collection[str], tolerances: Gate) -> list[str]:
    """Where the number of every tolerance comes from that was applied."""
    numbers = {kind: limits.shown(getattr(tolerances, kind)) for kind in TOLERANCES}
    return [
        f"{kind} {numbers[kind]}: {tolerances.why.get(kind, 'no source given')}"
        for kind in TOLERANCES
        if kind in kinds
    ]


def _judge(metric: str, old: Leaves, new: Leaves, tolerances: Gate) -> Verdict:
    before, after = old.get(metric), new.get(metric)

    def verdict(allowed: str, passed: bool, note: str = "", kind: str = "") -> Verdict:
        return Verdict(
            metric=metric,
            baseline=before,
            now=after,
            allowed=allowed,
            passed=passed,
            note=note,
            kind=kind,
        )

    if metric not in new:
        return verdict("must be there", False, "missing row or metric")
    if metric.startswith("checks."):
        if after is False and before is False and metric.removeprefix("checks.") in WEAK:
            return verdict("weak", True, "weak check failed, as in the baseline")
        return verdict("must hold", after is True, "" if after is True else "check failed")
    if metric not in old:
        return verdict("-", True, "new")
    if (before is None) != (after is None):
        return _judge_null(verdict, metric, old, new)
    if before is None or after is None:
        return verdict("-", True)
    limit = limits.limit(metric, before, tolerances)
    change = after - before
    if limit.down is not None and change < -limit.down - _ROUNDING:
        return verdict(limit.shown, False, f"dropped by {limits.shown(-change)}", limit.kind)
    if limit.up is not None and change > limit.up + _ROUNDING:
        return verdict(limit.shown, False, f"rose by {limits.shown(change)}", limit.kind)
    return verdict(limit.shown, True, kind=limit.kind)


def _judge_null(verdict: Callable[..., Verdict], metric: str, old: Leaves, new: Leaves) -> Verdict:
    """A number that became null is lost, except a Frechet distance of too few successes."""
    if old[metric] is None:
        return verdict("-", True, "was null")
    stem, _, name = metric.rpartition(".")
    fewer = (new.get(f"{stem}.n_success") or 0) < (old.get(f"{stem}.n_success") or 0)
    if name == "frechet" and fewer:  # the drop itself is judged by aa1
        return verdict("-", True, "null: fewer successes than the floor")
    return verdict("a number", False, "number became null")


def _newly_failed(now: StudyMeans, baseline: StudyMeans) -> Iterator[Verdict]:
    """Attacks and targets of both studies that fail a check in the new one alone.

    The study's check is one verdict of all rows: where it failed already, it hides another row.
    """
    for name, worst in now.worst.items():
        if name not in baseline.worst:
            continue
        in_both = {attack for attack, groups in baseline.attacks.items() if name in groups}
        before = baseline.worst[name].failed
        if newly := sorted(in_both & set(worst.failed) - set(before)):
            note = f"a check failed of {', '.join(newly)}"
            yield _other_failed(f"worst.{name}.failed", before, worst.failed, note)
    for name, target in now.targets.items():
        known = baseline.targets[name].failed if name in baseline.targets else None
        if target.failed is None or known is None:
            continue
        if newly := sorted(set(target.failed) - set(known)):
            note = f"failed: {', '.join(newly)}"
            yield _other_failed(f"targets.{name}.failed", known, target.failed, note)


def _other_failed(metric: str, before: Sequence[str], now: Sequence[str], note: str) -> Verdict:
    return Verdict(
        metric=metric,
        baseline=len(before),
        now=len(now),
        allowed="no other",
        passed=False,
        note=note,
    )


def _leaves(part: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    for key, value in sorted(part.items()):
        path = f"{where}.{key}" if where else key
        if isinstance(value, Mapping):
            yield from _leaves(value, path)
        else:
            yield path, value


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
