"""What the strongest of all attacks that ran got out of a defence, which is what it is worth.

The strongest by the evaluator alone need not be the one that brings most of a person to light: see
`most_agreed`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from trapmid.report.groups import Blocks
from trapmid.report.marks import Marks
from trapmid.report.stars import doubtful
from trapmid.scoring.means import RecognitionMeans, WorstCase
from trapmid.scoring.scores import Attacks


def worst_cases(
    params: Mapping[str, Any],
    attack_runs: Attacks,
    defenses: Iterable[str],
    scored: Mapping[str, Mapping[str, RecognitionMeans]],
) -> dict[str, WorstCase]:
    """By defence, of means of scores by attack and defence."""
    table = {
        attack: {defense: asdict(means) for defense, means in group.items()}
        for attack, group in scored.items()
    }
    marks = Marks.of(params, attack_runs)
    found = {
        name: worst_case(table, name, doubtful(params, attack_runs, name), marks.partial_on(name))
        for name in defenses
    }
    return {
        name: WorstCase(
            **one, intervals=scored[one["attack"]][name].intervals if one["attack"] else {}
        )
        for name, one in found.items()
    }


def worst_case(
    attacks: Mapping[str, Blocks],
    defense: str,
    failed: Sequence[str] = (),
    partial: Collection[str] = (),
) -> dict[str, Any]:
    """What the strongest of all attacks that ran got out of a defence.

    An attacker chooses, so a defence is worth what it keeps from the best choice: the attack with
    the highest mean AA-1 over its seeds, the first of `attacks` among equals. One that ran on fewer
    seeds than others counts, too, and so does one that failed a check: what the evaluator
    recognises has leaked. But a rate over a part of the people does not rank beside those over all:
    an attack in `partial` is the worst case only where every attack that ran is in `partial`. Which
    evaluator judged plays no part.

    Args:
        attacks: means of scores by attack and defence.
        defense: whose worst case it is.
        failed: the attacks on it that failed a check.
        partial: the attacks on it that attacked a part of the people.

    Returns:
        `attack` and its `aa1` and `aa5`; None where none ran. `attacks`: how many ran. `failed`:
        those among them that failed a check.
    """
    ran = {
        attack: groups[defense]
        for attack, groups in attacks.items()
        if defense in groups and groups[defense]["aa1"] is not None
    }
    best = greatest({attack: means["aa1"] for attack, means in ran.items()}, partial)
    return {
        "attack": best,
        "aa1": None if best is None else ran[best]["aa1"],
        "aa5": None if best is None else ran[best]["aa5"],
        "attacks": len(ran),
        "failed": [attack for attack in failed if attack in ran],
    }


def greatest(
    rates: Mapping[str, float | None], partial: Collection[str], favoured: str | None = None
) -> str | None:
    """The attack with the highest rate; None: none has one.

    Args:
        rates: by attack.
        partial: attacks on a part of the people, which rank only where all attacks do.
        favoured: comes first among equals; then, the order of `rates` decides.
    """
    there = {attack: rate for attack, rate in rates.items() if rate is not None}
    ranked = [attack for attack in there if attack not in partial] or list(there)
    return max(ranked, key=lambda one: (there[one], one == favoured), default=None)


def most_agreed(
    metrics: Mapping[str, Any], defense: str, partial: Collection[str] = ()
) -> str | None:
    """The attack of whose images all judges agree on most; None: no judge has a voice.

    It may be another one than that of the highest AA-1, which of equals comes first.

    Args:
        metrics: the content of reports/metrics.json.
        defense: whose attacks they are.
        partial: the attacks on it that attacked a part of the people.
    """
    rates = {attack: agreed(metrics, attack, defense) for attack in metrics["attacks"]}
    return greatest(rates, partial, metrics["worst"][defense]["attack"])


def agreed(metrics: Mapping[str, Any], attack: str | None, defense: str) -> float | None:
    """The share of an attack's images on which all judges agree, in metrics.json."""
    judged = metrics["attacks"].get(attack, {}).get(defense, {}).get("judges")
    return None if judged is None else judged["agree"]


def strongest(metrics: Mapping[str, Any]) -> dict[str, str | None]:
    """By defence the attack that got most, of the content of reports/metrics.json."""
    return {name: case["attack"] for name, case in metrics["worst"].items()}
