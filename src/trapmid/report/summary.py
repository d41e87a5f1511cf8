"""The table that the gate and scripts read, reports/metrics.json, and what DVC shows of it.

Rates are fractions in [0, 1]; a value is the mean over the seeds that have one, null if none has.
`spread` has both deviations over seeds, and every seed's value, of the numbers that say most.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, NamedTuple

from trapmid.artifacts.results import ResultError
from trapmid.scoring.means import (
    EvaluatorMeans,
    Origin,
    RecognitionMeans,
    Spread,
    Spreads,
    StudyMeans,
    TargetMeans,
    WorstCase,
)
from trapmid.scoring.scores import Attacks, Evaluators, Recognition, Targets, TargetScores

FLOOR = "random"
"""The attack that attacks nothing: random latents through the public prior."""

_DIGITS = 6  # as the scores are: the last bits of a sum are not worth a diff

Blocks = Mapping[str, Mapping[str, Any]]
"""Rows of params.yaml, or means of scores, by name."""


def summarise(
    params: Mapping[str, Any],
    evaluators: Evaluators,
    targets: Targets,
    attack_runs: Attacks,
    study_checks: Mapping[str, bool],
) -> dict[str, Any]:
    """The content of reports/metrics.json.

    Args:
        params: params.yaml; its rows decide what is in the summary.
        evaluators, targets, attack runs: the scores of every row.
        study_checks: the checks that look at several rows at once.

    Raises:
        ResultError: a row has no scores, or those of another seed, attack or target; or two rows
            have one name in the tables and one seed.
    """
    _refuse_missing(params, evaluators=evaluators, targets=targets, attack_runs=attack_runs)
    _refuse_others("targets", params["targets"], targets, ("seed",))
    _refuse_others("attack_runs", params["attack_runs"], attack_runs, ("seed", "attack", "target"))
    groups = _Groups.of(params)
    scored = _attack_means(groups, attack_runs)
    of_first = [evaluators[row] for row in groups.evaluators]
    return StudyMeans(
        study=_origin(params),
        evaluator=EvaluatorMeans(test_accuracy=_mean([one.test_accuracy for one in of_first])),
        targets={
            name: _target_means([targets[row] for row in rows])
            for name, rows in groups.targets.items()
        },
        attacks=scored,
        worst=_worst_cases(params, attack_runs, _named(groups.targets, scored), scored),
        references={
            "floor": _recognition([attack_runs[row] for row in groups.floor]),
            "ceiling": _recognition([one.ceiling for one in of_first]),
        },
        spread=_spreads(groups, targets, attack_runs),
        checks=merged_checks([study_checks, *_row_checks(evaluators, targets, attack_runs)]),
    ).to_json()


def headline(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The content of reports/summary.json, the only file whose numbers `dvc exp show` shows.

    Args:
        metrics: the content of reports/metrics.json.

    Returns:
        Per defence what its worst case gives away, its test accuracy and trapdoor success, to three
        digits; what is null is left out. `checks_failed`: how many.
    """
    targets = metrics["targets"]
    parts = {
        "aa1": {name: worst["aa1"] for name, worst in metrics["worst"].items()},
        "accuracy": {name: scores["test_accuracy"] for name, scores in targets.items()},
        "success": {name: scores["trapdoor_success"] for name, scores in targets.items()},
    }
    short = {
        part: {name: round(value, 3) for name, value in values.items() if value is not None}
        for part, values in parts.items()
    }
    return short | {"checks_failed": sum(not passed for passed in metrics["checks"].values())}


def doubtful(params: Mapping[str, Any], attack_runs: Attacks, defense: str) -> list[str]:
    """The attacks on a defence of which a validity check failed, with any seed.

    Such a number says nothing about the defence: the attack, or its scoring, was broken.
    """
    found = {
        block["attack"]
        for row, block in params["attack_runs"].items()
        if attack_run_label(params, block) == defense and not all(attack_runs[row].checks.values())
    }
    return sorted(found - {FLOOR})


def worst_case(
    attacks: Mapping[str, Blocks], defense: str, failed: Sequence[str] = ()
) -> dict[str, Any]:
    """What the strongest of all attacks that ran got out of a defence.

    An attacker chooses, so a defence is worth what it keeps from the best choice: the attack with
    the highest mean AA-1 over its seeds, the first of `attacks` among equals. One that ran on fewer
    seeds than others counts, too, and so does one that failed a check: what the evaluator
    recognises has leaked.

    Returns:
        `attack` and its `aa1` and `aa5`; None where none ran. `attacks`: how many ran. `failed`:
        those among them that failed a check.
    """
    ran = {
        attack: groups[defense]
        for attack, groups in attacks.items()
        if defense in groups and groups[defense]["aa1"] is not None
    }
    best = max(ran, key=lambda attack: ran[attack]["aa1"], default=None)
    return {
        "attack": best,
        "aa1": None if best is None else ran[best]["aa1"],
        "aa5": None if best is None else ran[best]["aa5"],
        "attacks": len(ran),
        "failed": [attack for attack in failed if attack in ran],
    }


def label(params: Mapping[str, Any], target: Mapping[str, Any]) -> str:
    """The name of a target's defence in tables.

    A target on other data or of another architecture than the study's first one is never averaged
    with it: its name says what differs, e.g. `none@digits`.
    """
    main = _setting(next(iter(params["targets"].values())))
    other = [value for key, value in _setting(target).items() if value != main[key]]
    return "@".join([str(target["defense"]), *other])


def attack_run_label(params: Mapping[str, Any], attack_run: Mapping[str, Any]) -> str:
    """The name of an attack run's defence in tables, and its own data if they differ."""
    return label(params, params["targets"][attack_run["target"]] | {"data": attack_run["data"]})


def families(rows: Mapping[str, Any], present: Iterable[str]) -> dict[str, dict[str, str]]:
    """Rows that are seeds of one: family -> seed -> row, as `trapmid profile --seeds` names them.

    Args:
        rows: a section of params.yaml; a row K with `seed` s of the family F is F-s.
        present: which of them count.
    """
    found: dict[str, dict[str, str]] = {}
    for row in present:
        seed = str(rows[row]["seed"])
        found.setdefault(row.removesuffix(f"-{seed}"), {})[seed] = row
    return found


class Deviation(NamedTuple):
    """How far the seeds of one experiment lie apart; None where there are too few of them."""

    population: float | None  # n in the denominator, as the paper's tables have it; one value: 0
    sample: float | None  # n - 1: the deviation to expect of another seed; needs two values


def deviation(values: Sequence[float]) -> Deviation:
    """Both standard deviations of the values of several seeds."""
    return Deviation(
        population=statistics.pstdev(values) if values else None,
        sample=statistics.stdev(values) if len(values) > 1 else None,
    )


class SideBySide(NamedTuple):
    """Attack runs of one attack that a picture can compare."""

    data: str
    by_defense: dict[str, str]  # attack run by defence


def side_by_side(params: Mapping[str, Any]) -> dict[str, SideBySide]:
    """Per attack, the attack runs of its first seed on the study's first data."""
    data = _setting(next(iter(params["targets"].values())))["data"]
    found: dict[str, SideBySide] = {}
    for row, block in params["attack_runs"].items():
        if block["data"] == data:
            by_defense = found.setdefault(block["attack"], SideBySide(data, {})).by_defense
            by_defense.setdefault(attack_run_label(params, block), row)
    return found


def merged_checks(parts: Iterable[Mapping[str, bool]]) -> dict[str, bool]:
    """One verdict per check: a check that failed anywhere has failed."""
    merged: dict[str, bool] = {}
    for part in parts:
        for name, passed in part.items():
            merged[name] = merged.get(name, True) and bool(passed)
    return dict(sorted(merged.items()))


def _row_checks(
    evaluators: Evaluators, targets: Targets, attack_runs: Attacks
) -> list[Mapping[str, bool]]:
    every = [*evaluators.values(), *targets.values(), *attack_runs.values()]
    return [scores.checks for scores in every]


class _Groups(NamedTuple):
    """The rows of params.yaml behind every number of the summary."""

    evaluators: list[str]  # evaluators of the study's first data
    targets: dict[str, list[str]]  # by defence
    attacks: dict[str, dict[str, list[str]]]  # by attack and defence
    floor: list[str]

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> _Groups:
        """Groups the rows; ResultError: rows of one name have one seed, too."""
        data = _setting(next(iter(params["targets"].values())))["data"]
        of_first = [row for row, block in params["evaluators"].items() if block["data"] == data]
        targets = _grouped(params["targets"], lambda block: label(params, block))
        attack_runs = {row: b for row, b in params["attack_runs"].items() if b["attack"] != FLOOR}
        attacks = {
            attack: _grouped(
                {row: attack_runs[row] for row in rows}, lambda b: attack_run_label(params, b)
            )
            for attack, rows in _grouped(attack_runs, lambda block: str(block["attack"])).items()
        }
        for rows in targets.values():
            _refuse_equal_seeds("targets", rows, params["targets"])
        for group in attacks.values():
            for rows in group.values():
                _refuse_equal_seeds("attack_runs", rows, attack_runs)
        floor = [
            row
            for row, block in params["attack_runs"].items()
            if block["attack"] == FLOOR and block["data"] == data
        ]
        return cls(of_first or list(params["evaluators"]), targets, attacks, floor)


def _refuse_missing(params: Mapping[str, Any], **scores: Mapping[str, object]) -> None:
    """ResultError: a row of params.yaml has no scores."""
    for section, rows in scores.items():
        for row in params[section]:
            if row not in rows:
                raise ResultError(f"reports/scores/{section}/{row}.json: not read")


def _refuse_others(
    section: str, rows: Blocks, scores: Mapping[str, object], keys: Sequence[str]
) -> None:
    """ResultError: scores of a row are those of another experiment, left by an older study."""
    for row, block in rows.items():
        for key in keys:
            found = getattr(scores[row], key)
            if found != block[key]:
                raise ResultError(
                    f"reports/scores/{section}/{row}.json: {key}: {found!r}, but params.yaml says "
                    f"{block[key]!r}; `dvc repro` renews it"
                )


def _setting(target: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(target[key]) for key in ("data", "arch")}


def _refuse_equal_seeds(section: str, names: list[str], rows: Blocks) -> None:
    """A mean over seeds must not hide two different experiments."""
    seen: dict[Any, str] = {}
    for row in names:
        twin = seen.setdefault(rows[row]["seed"], row)
        if twin != row:
            raise ResultError(
                f"{section}: {twin} and {row} have one name in the tables and one seed; give one "
                "of them a defence, an attack or a seed of its own"
            )


def _grouped(rows: Blocks, name: Callable[[Mapping[str, Any]], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for row, block in rows.items():
        groups.setdefault(name(block), []).append(row)
    return groups


def _named(by_defense: Iterable[str], attacks: Mapping[str, Iterable[str]]) -> list[str]:
    """Every name of a defence: the targets', then those of attack runs on other data alone."""
    attacked = (name for groups in attacks.values() for name in groups)
    return list(dict.fromkeys([*by_defense, *attacked]))


def _recognition(rows: Sequence[Recognition]) -> RecognitionMeans:
    names = [field.name for field in fields(RecognitionMeans)]
    return RecognitionMeans(**{name: _mean([getattr(one, name) for one in rows]) for name in names})


def _origin(params: Mapping[str, Any]) -> Origin:
    seeds = sorted({block["seed"] for block in params["targets"].values()})
    return Origin(profile=params["profile"], seeds=tuple(seeds))


def _attack_means(groups: _Groups, attack_runs: Attacks) -> dict[str, dict[str, RecognitionMeans]]:
    """By attack and defence, over the seeds."""
    return {
        attack: {
            name: _recognition([attack_runs[row] for row in rows]) for name, rows in found.items()
        }
        for attack, found in groups.attacks.items()
    }


def _worst_cases(
    params: Mapping[str, Any],
    attack_runs: Attacks,
    defenses: Iterable[str],
    scored: Mapping[str, Mapping[str, RecognitionMeans]],
) -> dict[str, WorstCase]:
    table = {
        attack: {defense: asdict(means) for defense, means in group.items()}
        for attack, group in scored.items()
    }
    return {
        name: WorstCase(**worst_case(table, name, doubtful(params, attack_runs, name)))
        for name in defenses
    }


def _target_means(rows: Sequence[TargetScores]) -> TargetMeans:
    return TargetMeans(
        test_accuracy=_mean([one.test_accuracy for one in rows]),
        trapdoor_success=_mean([one.trapdoor_success for one in rows]),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are not null; whole numbers stay whole."""
    there = [value for value in values if value is not None]
    if not there:
        return None
    mean = math.fsum(there) / len(there)
    whole = mean.is_integer() and all(isinstance(value, int) for value in there)
    return int(mean) if whole else round(mean, _DIGITS)


def _spreads(groups: _Groups, targets: Targets, attack_runs: Attacks) -> Spreads:
    """How far seeds lie apart, of the numbers that say most."""
    by_defense = {
        name: {
            "test_accuracy": _spread({targets[r].seed: targets[r].test_accuracy for r in rows}),
            "trapdoor_success": _spread(
                {targets[r].seed: targets[r].trapdoor_success for r in rows}
            ),
        }
        for name, rows in groups.targets.items()
    }
    attacks = {
        attack: {
            name: {"aa1": _spread({attack_runs[row].seed: attack_runs[row].aa1 for row in rows})}
            for name, rows in found.items()
        }
        for attack, found in groups.attacks.items()
    }
    return Spreads(targets=by_defense, attacks=attacks)


def _spread(values: Mapping[int, float | None]) -> Spread:
    """Deviations over seeds, and the values by seed."""
    found = deviation([value for value in values.values() if value is not None])
    rounded = {
        name: None if value is None else round(value, _DIGITS)
        for name, value in found._asdict().items()
    }
    return Spread(**rounded, values={str(seed): value for seed, value in values.items()})
