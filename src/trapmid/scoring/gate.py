"""The regression gate: today's reports/metrics.json against the committed baseline.

Protection is judged in both directions: a protected target must not leak more, and an unprotected
one must not leak less, because an attack that has become weak would make every defence look good.

A check whose failure makes a study invalid must hold. A weak one may fail where it failed in the
baseline, too: it is marked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from trapmid.config.criteria import TOLERANCES, WEAK, Gate

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


def compare(
    now: Mapping[str, Any],
    baseline: Mapping[str, Any],
    tolerances: Gate,
    known: Collection[str] = (),
) -> list[Verdict]:
    """Judges every number of both summaries; a regression is a verdict that did not pass.

    A metric that only the new summary has is listed and passes. A check must hold, whatever it did
    in the baseline; a weak one must hold if it did there.

    Args:
        now, baseline: contents of reports/metrics.json, of one profile.
        tolerances: how far a number may move.
        known: defences that need not be in the scores: a control among them that is absent has
            nothing to judge.

    Raises:
        ValueError: a summary is malformed, or a control of the tolerances is no defence.
    """
    old, new = flatten(baseline), flatten(now)
    found = {name.split("@")[0] for part in (now, baseline) for name in part.get("targets", {})}
    for name in tolerances.controls:
        if name not in found | set(known):
            there = ", ".join(sorted(found | set(known))) or "none"
            raise ValueError(f"gate.controls: no defence {name!r}; there are {there}")
    return [_judge(metric, old, new, tolerances) for metric in {**old, **new}]


def profile(summary: Mapping[str, Any]) -> str | None:
    """The profile that a summary is of; None where it does not say."""
    name = summary.get("study", {}).get("profile")
    return None if name is None else str(name)


def failures(summary: Mapping[str, Any], *, weak: bool) -> list[str]:
    """The checks that failed: the weak ones, or those that make the study invalid."""
    checks = summary["checks"].items()
    return sorted(name for name, passed in checks if not passed and (name in WEAK) == weak)


def flatten(summary: Mapping[str, Any]) -> dict[str, float | bool | None]:
    """The summary's leaves by dotted path, but `spread` and `study`: they depend on the seeds.

    Raises:
        ValueError: a section is missing, or a leaf is neither a finite number, a bool nor null.
    """
    for section in ("evaluator", "targets", "attacks", "checks"):
        if not isinstance(summary.get(section), Mapping):
            raise ValueError(f"metrics: no section {section!r}")
    compared = {key: value for key, value in summary.items() if key not in ("spread", "study")}
    return dict(_leaves(compared, ""))


def table(verdicts: Sequence[Verdict], tolerances: Gate) -> str:
    """The verdicts as text, regressions last, where a terminal shows them.

    Under them stands, of every tolerance that was applied, where its number comes from.
    """
    head = ("metric", "baseline", "now", "allowed", "verdict")
    ordered = sorted(verdicts, key=lambda verdict: not verdict.passed)
    rows = [
        (
            verdict.metric,
            _shown(verdict.baseline),
            _shown(verdict.now),
            verdict.allowed,
            ("ok" if verdict.passed else "FAIL") + (f"  {verdict.note}" if verdict.note else ""),
        )
        for verdict in ordered
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]])
        for row in [head, tuple("-" * len(name) for name in head), *rows]
    ]
    used = {verdict.kind for verdict in verdicts}
    why = [
        f"{kind} {_shown(getattr(tolerances, kind))}: {tolerances.why.get(kind, 'no source given')}"
        for kind in TOLERANCES
        if kind in used
    ]
    failed = sum(not verdict.passed for verdict in verdicts)
    end = f"gate: {failed} of {len(verdicts)} failed" if failed else f"gate: {len(verdicts)} passed"
    return "\n".join([*lines, "", *why, *[""] * bool(why), end])


def _judge(
    metric: str, old: Mapping[str, Any], new: Mapping[str, Any], tolerances: Gate
) -> Verdict:
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
    down, up, kind = _limits(metric, tolerances)
    change = after - before
    limits = [f"-{_shown(down)}"] * (down is not None) + [f"+{_shown(up)}"] * (up is not None)
    if down is not None and change < -down - _ROUNDING:
        return verdict(" ".join(limits), False, f"dropped by {_shown(-change)}", kind)
    if up is not None and change > up + _ROUNDING:
        return verdict(" ".join(limits), False, f"rose by {_shown(change)}", kind)
    return verdict(" ".join(limits) or "-", True, kind=kind)


def _judge_null(
    verdict: Callable[..., Verdict], metric: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Verdict:
    """A number that became null is lost, except a Frechet distance of too few successes."""
    if old[metric] is None:
        return verdict("-", True, "was null")
    stem, _, name = metric.rpartition(".")
    fewer = (new.get(f"{stem}.n_success") or 0) < (old.get(f"{stem}.n_success") or 0)
    if name == "frechet" and fewer:  # the drop itself is judged by aa1
        return verdict("-", True, "null: fewer successes than the floor")
    return verdict("a number", False, "number became null")


class _Limits(NamedTuple):
    """How far a metric may fall and rise, None: as far as it likes, and by which tolerance."""

    down: float | None
    up: float | None
    kind: str


def _limits(metric: str, tolerances: Gate) -> _Limits:
    section, _, rest = metric.partition(".")
    name = metric.rpartition(".")[2]
    if name == "test_accuracy":
        return _Limits(tolerances.accuracy_drop, None, "accuracy_drop")
    if name == "trapdoor_success":
        return _Limits(tolerances.trapdoor_drop, None, "trapdoor_drop")
    if name == "n" or (section == "worst" and name == "attacks"):
        return _Limits(0.0, None, "")  # fewer images scored, or fewer attacks tried
    # The worst case is the highest AA-1: its AA-5 jumps where another attack takes the first place,
    # and is judged as that attack's own.
    judged = {"attacks": ("aa1", "aa5"), "worst": ("aa1",)}
    if name in judged.get(section, ()):
        defense = rest.split(".")[-2].split("@")[0]
        if defense in tolerances.controls:
            return _Limits(tolerances.attack_drop, None, "attack_drop")
        return _Limits(None, tolerances.attack_rise, "attack_rise")
    return _Limits(None, None, "")


def _leaves(part: Mapping[str, Any], where: str) -> Iterator[tuple[str, float | bool | None]]:
    for key, value in part.items():
        path = f"{where}.{key}" if where else str(key)
        if isinstance(value, Mapping):
            yield from _leaves(value, path)
        elif path.startswith("worst.") and key in ("attack", "failed"):
            continue  # which ones they were is no number
        elif path.startswith("checks."):
            if not isinstance(value, bool):
                raise ValueError(f"metrics: {path} must be true or false, is {value!r}")
            yield path, value
        elif value is None or _is_number(value):
            yield path, value
        else:
            raise ValueError(f"metrics: {path} must be a finite number or null, is {value!r}")


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _shown(value: float | bool | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}"
