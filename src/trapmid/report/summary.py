"""The table that the gate and scripts read, reports/metrics.json, and what DVC shows of it.

Rates are fractions in [0, 1]; a value is the mean over the seeds that have one, null if none has.
`spread` has both deviations over seeds, and every seed's value, of the numbers that say most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from trapmid.artifacts.results import ResultError
from trapmid.metrics.statistics.intervals import Interval
from trapmid.report.averages import intervals_of, mean_of, robust_means, spread_of
from trapmid.report.differences import Shares, comparisons
from trapmid.report.groups import Blocks, Groups
from trapmid.report.judged import measured
from trapmid.report.marks import Marks
from trapmid.report.worst import most_agreed, strongest, worst_cases
from trapmid.scoring.judged import JudgedScores
from trapmid.scoring.means import (
    Comparison,
    EvaluatorMeans,
    JudgedMeans,
    Measure,
    Origin,
    RecognitionMeans,
    Spreads,
    StudyMeans,
    TargetMeans,
)
from trapmid.scoring.scores import (
    Attacks,
    AttackScores,
    Evaluators,
    EvaluatorScores,
    Judges,
    Recognition,
    Targets,
    TargetScores,
    machines,
    rounded,
)


def summarise(
    params: Mapping[str, Any],
    evaluators: Evaluators,
    targets: Targets,
    attack_runs: Attacks,
    study_checks: Mapping[str, bool],
    shares: Mapping[Measure, Mapping[str, Shares]] | None = None,
    judges: Judges | None = None,
) -> dict[str, Any]:
    """The content of reports/metrics.json.

    Args:
        params: params.yaml; its rows decide what is in the summary.
        evaluators, targets, attack_runs: the scores of every row.
        study_checks: the checks that look at several rows at once.
        shares: as `differences.shares`; without them, no two defences are compared.
        judges: the scores of every judge: their machine, and which failed a check.

    Raises:
        ResultError: a row has no scores, or those of another seed, attack or target; or two rows
            have one name in the tables and one seed.
    """
    _refuse(params, evaluators, targets, attack_runs)
    groups = Groups.of(params)
    scored = _attack_means(groups, attack_runs)
    of_first = [evaluators[row] for row in groups.evaluators]
    worst = worst_cases(params, attack_runs, _named(groups.targets, scored), scored)
    means = StudyMeans(
        study=_origin(params),
        evaluator=_evaluator_means(of_first),
        targets={
            name: _target_means([targets[r] for r in rows]) for name, rows in groups.targets.items()
        },
        attacks=scored,
        worst=worst,
        references={
            "floor": _recognition([attack_runs[row] for row in groups.floor]),
            "ceiling": _recognition([one.ceiling for one in of_first], seeds=len(of_first) == 1),
        },
        spread=_spreads(groups, targets, attack_runs),
        computed_on=machines(evaluators, targets, attack_runs, judges or {}),
        checks=merged_checks([study_checks, *_row_checks(evaluators, targets, attack_runs)]),
    )
    compared = _comparisons(params, attack_runs, means, shares or {}, judges or {})
    return replace(means, comparisons=compared).to_json()


def _comparisons(
    params: Mapping[str, Any],
    attack_runs: Attacks,
    means: StudyMeans,
    shares: Mapping[Measure, Mapping[str, Shares]],
    judges: Judges,
) -> tuple[Comparison, ...]:
    """By the evaluator, then by all judges; the worst case is of each its own."""
    metrics, marks = asdict(means), Marks.of(params, attack_runs)
    revealing = {name: most_agreed(metrics, name, marks.partial_on(name)) for name in means.worst}
    by_measure = {"aa1": strongest(metrics), "agree": revealing}
    return tuple(
        one
        for measure, of_runs in shares.items()
        for one in comparisons(params, attack_runs, by_measure[measure], of_runs, measure, judges)
    )


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


def _refuse(
    params: Mapping[str, Any], evaluators: Evaluators, targets: Targets, attack_runs: Attacks
) -> None:
    """ResultError: scores are missing, or are those of another row."""
    _refuse_missing(params, evaluators=evaluators, targets=targets, attack_runs=attack_runs)
    _refuse_others("targets", params["targets"], targets, ("seed",))
    _refuse_others("attack_runs", params["attack_runs"], attack_runs, ("seed", "attack", "target"))


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


def _named(by_defense: Iterable[str], attacks: Mapping[str, Iterable[str]]) -> list[str]:
    """Every name of a defence: the targets', then those of attack runs on other data alone."""
    attacked = (name for groups in attacks.values() for name in groups)
    return list(dict.fromkeys([*by_defense, *attacked]))


_NOT_MEANS = ("intervals", "judges", "signature_auc")


def _recognition(rows: Sequence[Recognition], *, seeds: bool = True) -> RecognitionMeans:
    """Means; `seeds`: whether the rows are seeds of one experiment, of which intervals can be."""
    names = [one.name for one in fields(RecognitionMeans) if one.name not in _NOT_MEANS]
    attacks = [one for one in rows if isinstance(one, AttackScores)]
    return RecognitionMeans(
        **{name: mean_of([getattr(one, name) for one in rows]) for name in names},
        intervals=intervals_of(rows if seeds else (), ("aa1", "aa5")) | _agreed(attacks),
        judges=_judged([one.judges for one in attacks]),
        signature_auc=mean_of([one.signature.auc for one in attacks if one.signature]),
    )


def _agreed(rows: Sequence[AttackScores]) -> dict[str, Interval]:
    found = measured(rows, "judges.agree").interval
    return {} if found is None else rounded({"judges.agree": found})


def _judged(rows: Sequence[JudgedScores | None]) -> JudgedMeans | None:
    there = [one for one in rows if one is not None]
    if not there:
        return None
    verified = [one.verifier for one in there if one.verifier is not None]
    identified = [one.identity for one in there if one.identity is not None]
    voices = [one for one in there if one.disagreement.keys() & {"verifier", "identity"}]
    return JudgedMeans(
        agree=mean_of([one.agree for one in voices]),  # a second evaluator has none
        accepted=mean_of([one.accepted for one in verified]),
        verifier_aa1=mean_of([one.aa1 for one in verified]),
        identity_aa1=mean_of([one.aa1 for one in identified]),
        farther=mean_of([one.farther for one in identified]),
        second_aa1=mean_of([one.second_aa1 for one in there]),
    )


def _origin(params: Mapping[str, Any]) -> Origin:
    seeds = sorted({block["seed"] for block in params["targets"].values()})
    return Origin(profile=params["profile"], seeds=tuple(seeds))


def _attack_means(groups: Groups, attack_runs: Attacks) -> dict[str, dict[str, RecognitionMeans]]:
    """By attack and defence, over the seeds."""
    return {
        attack: {
            name: _recognition([attack_runs[row] for row in rows]) for name, rows in found.items()
        }
        for attack, found in groups.attacks.items()
    }


def _evaluator_means(rows: Sequence[EvaluatorScores]) -> EvaluatorMeans:
    """Several evaluators are no seeds of one: their mean has no interval."""
    return EvaluatorMeans(
        test_accuracy=mean_of([one.test_accuracy for one in rows]),
        intervals=intervals_of(rows if len(rows) == 1 else (), ("test_accuracy",)),
    )


def _target_means(rows: Sequence[TargetScores]) -> TargetMeans:
    robust = robust_means([one.robustness for one in rows])
    return TargetMeans(
        robust_accuracy=robust.rates,
        failed=tuple(sorted({name for one in rows for name in one.failed_checks})),
        intervals=intervals_of(rows, ("test_accuracy", "trapdoor_success")) | robust.intervals,
        test_accuracy=mean_of([one.test_accuracy for one in rows]),
        trapdoor_success=mean_of([one.trapdoor_success for one in rows]),
    )


def _spreads(groups: Groups, targets: Targets, attack_runs: Attacks) -> Spreads:
    """How far seeds lie apart, of the numbers that say most."""
    by_defense = {
        name: {
            "test_accuracy": spread_of({targets[r].seed: targets[r].test_accuracy for r in rows}),
            "trapdoor_success": spread_of(
                {targets[r].seed: targets[r].trapdoor_success for r in rows}
            ),
        }
        for name, rows in groups.targets.items()
    }
    attacks = {
        attack: {
            name: {"aa1": spread_of({attack_runs[row].seed: attack_runs[row].aa1 for row in rows})}
            for name, rows in found.items()
        }
        for attack, found in groups.attacks.items()
    }
    return Spreads(targets=by_defense, attacks=attacks)
