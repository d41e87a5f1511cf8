"""The table that the gate and scripts read, reports/metrics.json, and what DVC shows of it.

Rates are fractions in [0, 1]; a value is the mean over the seeds that have one, null if none has.
`spread` has both deviations over seeds, and every seed's value, of the numbers that say most.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from trapmid.results import ResultError

FLOOR = "random"
"""The attack that attacks nothing: random latents through the public prior."""

ATTACK_SCORES = ("aa1", "aa5", "knn_dist", "frechet", "n_success", "n")

_DIGITS = 6  # as the scores are: the last bits of a sum are not worth a diff

Rows = Mapping[str, Mapping[str, Any]]


def summarise(
    params: Mapping[str, Any],
    evaluators: Rows,
    targets: Rows,
    cells: Rows,
    study_checks: Mapping[str, bool],
) -> dict[str, Any]:
    """The content of reports/metrics.json.

    Args:
        params: params.yaml; its rows decide what is in the summary.
        evaluators, targets, cells: the scores of every row, by row.
        study_checks: the checks that look at several rows at once.

    Raises:
        ResultError: a row has no scores, or a score is missing or not a finite number.
    """
    for section, rows in (("evaluators", evaluators), ("targets", targets), ("cells", cells)):
        for row in params[section]:
            if row not in rows:
                raise ResultError(f"reports/scores/{section}/{row}.json: not read")
    main = _setting(next(iter(params["targets"].values())))
    judges = [
        row for row, block in params["evaluators"].items() if block["data"] == main["data"]
    ] or list(params["evaluators"])
    by_defense = _grouped(params["targets"], lambda block: label(params, block))
    attacks: dict[str, dict[str, Any]] = {}
    floor = []
    for row, block in params["cells"].items():
        if block["attack"] != FLOOR:
            groups = attacks.setdefault(block["attack"], {})
            groups.setdefault(cell_label(params, block), []).append(row)
        elif block["data"] == main["data"]:
            floor.append(row)
    for section, names in (
        ("targets", by_defense.values()),
        ("cells", [rows for groups in attacks.values() for rows in groups.values()]),
    ):
        for group in names:
            _refuse_equal_seeds(section, group, params[section])
    scored = {
        attack: {name: _attack_scores("cells", rows, cells) for name, rows in groups.items()}
        for attack, groups in attacks.items()
    }
    return {
        "study": {
            "profile": params["profile"],
            "seeds": sorted({block["seed"] for block in params["targets"].values()}),
        },
        "evaluator": {"test_accuracy": _mean("evaluators", judges, evaluators, "test_accuracy")},
        "targets": {
            name: {
                key: _mean("targets", rows, targets, key)
                for key in ("test_accuracy", "trapdoor_success")
            }
            for name, rows in by_defense.items()
        },
        "attacks": scored,
        "worst": {
            name: worst_case(scored, name, doubtful(params, cells, name))
            for name in _named(by_defense, scored)
        },
        "references": {
            "floor": _attack_scores("cells", floor, cells),
            "ceiling": _attack_scores(
                "evaluators", judges, {row: evaluators[row]["ceiling"] for row in judges}
            ),
        },
        "spread": {
            "targets": {
                name: {
                    key: _spread(params["targets"], rows, targets, key)
                    for key in ("test_accuracy", "trapdoor_success")
                }
                for name, rows in by_defense.items()
            },
            "attacks": {
                attack: {
                    name: {"aa1": _spread(params["cells"], rows, cells, "aa1")}
                    for name, rows in groups.items()
                }
                for attack, groups in attacks.items()
            },
        },
        "checks": merged_checks([study_checks, *_row_checks(evaluators, targets, cells)]),
    }


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


def doubtful(params: Mapping[str, Any], cells: Rows, defense: str) -> list[str]:
    """The attacks on a defence of which a validity check failed, with any seed.

    Such a number says nothing about the defence: the attack, or its scoring, was broken.
    """
    found = {
        block["attack"]
        for row, block in params["cells"].items()
        if cell_label(params, block) == defense
        and not all((cells[row].get("checks") or {}).values())
    }
    return sorted(found - {FLOOR})


def worst_case(
    attacks: Mapping[str, Rows], defense: str, failed: Sequence[str] = ()
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


def cell_label(params: Mapping[str, Any], cell: Mapping[str, Any]) -> str:
    """The name of a cell's defence in tables: its target's, and its own data if they are others."""
    return label(params, params["targets"][cell["target"]] | {"data": cell["data"]})


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
    """Cells of one attack that a picture can compare."""

    data: str
    by_defense: dict[str, str]  # cell by defence


def side_by_side(params: Mapping[str, Any]) -> dict[str, SideBySide]:
    """Per attack, the cells of its first seed on the study's first data."""
    data = _setting(next(iter(params["targets"].values())))["data"]
    found: dict[str, SideBySide] = {}
    for row, block in params["cells"].items():
        if block["data"] == data:
            cells = found.setdefault(block["attack"], SideBySide(data, {})).by_defense
            cells.setdefault(cell_label(params, block), row)
    return found


def merged_checks(parts: Iterable[Mapping[str, bool]]) -> dict[str, bool]:
    """One verdict per check: a check that failed anywhere has failed."""
    merged: dict[str, bool] = {}
    for part in parts:
        for name, passed in part.items():
            merged[name] = merged.get(name, True) and bool(passed)
    return dict(sorted(merged.items()))


def _row_checks(*sections: Rows) -> list[Mapping[str, bool]]:
    return [scores.get("checks") or {} for rows in sections for scores in rows.values()]


def _setting(target: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(target[key]) for key in ("data", "arch")}


def _refuse_equal_seeds(section: str, names: list[str], rows: Rows) -> None:
    """A mean over seeds must not hide two different experiments."""
    seen: dict[Any, str] = {}
    for row in names:
        twin = seen.setdefault(rows[row]["seed"], row)
        if twin != row:
            raise ResultError(
                f"{section}: {twin} and {row} have one name in the tables and one seed; give one "
                "of them a defence, an attack or a seed of its own"
            )


def _grouped(rows: Rows, name: Any) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for row, block in rows.items():
        groups.setdefault(name(block), []).append(row)
    return groups


def _named(by_defense: Iterable[str], attacks: Mapping[str, Rows]) -> list[str]:
    """Every name of a defence: the targets', then those of cells on other data alone."""
    cells = (name for groups in attacks.values() for name in groups)
    return list(dict.fromkeys([*by_defense, *cells]))


def _attack_scores(section: str, names: list[str], rows: Rows) -> dict[str, float | None]:
    return {key: _mean(section, names, rows, key) for key in ATTACK_SCORES}


def _mean(section: str, names: list[str], rows: Rows, key: str) -> float | None:
    """The mean over the rows whose score is not null; whole numbers stay whole."""
    values = []
    for row in names:
        where = f"reports/scores/{section}/{row}.json"
        if key not in rows[row]:
            raise ResultError(f"{where}: no {key!r}; has {', '.join(sorted(rows[row]))}")
        value = rows[row][key]
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ResultError(f"{where}: {key} must be a number or null, is {value!r}")
        if not math.isfinite(value):
            raise ResultError(f"{where}: {key} must be finite, is {value!r}")
        values.append(value)
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    whole = mean.is_integer() and all(isinstance(value, int) for value in values)
    return int(mean) if whole else round(mean, _DIGITS)


def _spread(blocks: Rows, names: list[str], rows: Rows, key: str) -> dict[str, Any]:
    """Deviations over seeds, and the values by seed; `_mean` has checked them."""
    values = {str(blocks[row]["seed"]): rows[row][key] for row in names}
    found = deviation([value for value in values.values() if value is not None])
    rounded = {
        name: None if value is None else round(value, _DIGITS)
        for name, value in found._asdict().items()
    }
    return {**rounded, "values": values}
