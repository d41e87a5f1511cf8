"""Which rows of params.yaml stand behind one number, one line or one picture of the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from trapmid.artifacts.results import ResultError
from trapmid.config.evaluation import FLOOR, FLOOR_IGNORES
from trapmid.report import names

Blocks = Mapping[str, Mapping[str, Any]]
"""Rows of params.yaml, or means of scores, by name."""


class Groups(NamedTuple):
    """The rows of params.yaml behind every number of the summary."""

    evaluators: list[str]  # evaluators of the study's first data, that attacks name as theirs
    targets: dict[str, list[str]]  # by defence
    attacks: dict[str, dict[str, list[str]]]  # by attack and defence
    floor: list[str]  # see `floor_on`, of the study's first data

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Groups:
        """Groups the rows; ResultError: rows of one name have one seed, too."""
        data = _setting(next(iter(params["targets"].values())))["data"]
        named = {block["evaluator"] for block in params["attack_runs"].values()}
        blocks = {row: one for row, one in params["evaluators"].items() if row in named}
        of_first = [row for row, block in blocks.items() if block["data"] == data]
        targets = _grouped(params["targets"], lambda block: label(params, block))
        for rows in targets.values():
            _refuse_equal_seeds("targets", rows, params["targets"])
        attacks, floor = _by_attack(params), floor_on(params, data)
        return cls(of_first or list(blocks or params["evaluators"]), targets, attacks, floor)


def floor_on(params: Mapping[str, Any], data: str) -> list[str]:
    """The attack runs of random latents on `data`, one of each seed.

    They ask no target: rows of one seed that differ in it alone are one, and the first counts.

    Raises:
        ResultError: two of one seed differ in what their images or scores hang on.
    """
    rows, found = params["attack_runs"], dict[Any, str]()
    for row, block in rows.items():
        if block["attack"] != FLOOR or block["data"] != data:
            continue
        twin = found.setdefault(block["seed"], row)
        if differing := _floors_differ(rows[twin], block):
            raise ResultError(
                f"attack_runs: {twin} and {row} are both random latents of seed {block['seed']}, "
                f"and differ in {', '.join(differing)}; give one of them an attack of its own"
            )
    return [*found.values()]


def _floors_differ(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    keys = dict.fromkeys((*one, *other))
    asked = [key for key in keys if key not in FLOOR_IGNORES]
    return [key for key in asked if one.get(key) != other.get(key)]


def _by_attack(params: Mapping[str, Any]) -> dict[str, dict[str, list[str]]]:
    """The attack runs by attack and defence, without the floor; ResultError as of `Groups.of`."""
    attack_runs = {row: b for row, b in params["attack_runs"].items() if b["attack"] != FLOOR}
    attacks = {
        attack: _grouped(
            {row: attack_runs[row] for row in rows}, lambda b: attack_run_label(params, b)
        )
        for attack, rows in _grouped(attack_runs, lambda block: str(block["attack"])).items()
    }
    for group in attacks.values():
        for rows in group.values():
            _refuse_equal_seeds("attack_runs", rows, attack_runs)
    return attacks


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


def in_words(params: Mapping[str, Any], attack_run: str) -> str:
    """The name of a row of `attack_runs` in captions."""
    block = params["attack_runs"][attack_run]
    defense = names.defense(attack_run_label(params, block))
    return f"{names.attack(block['attack'])} on {defense}, seed {block['seed']}"


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


def family_in_words(params: Mapping[str, Any], section: str, family: str, row: str) -> str:
    """What the seeds of a training are called: by their methods, or else as their rows are.

    Args:
        params: params.yaml.
        section: one of `results.TRAINED`.
        family: the name that its rows share.
        row: one of them.
    """
    block = params[section][row]
    if section == "targets":
        return names.defense(label(params, block))
    if section == "attack_runs":
        return (
            f"{names.attack(block['attack'])} on {names.defense(attack_run_label(params, block))}"
        )
    return family


class SideBySide(NamedTuple):
    """Attack runs of one attack that a picture can compare."""

    data: str
    by_defense: dict[str, str]  # attack run by defence
    seed: int | None  # of all of them; None: no seed is there of every defence


def side_by_side(params: Mapping[str, Any]) -> dict[str, SideBySide]:
    """Per attack, attack runs on the study's first data; of the floor there is one alone.

    They are of the lowest seed that every defence has, or else of the lowest that each has.
    """
    data = _setting(next(iter(params["targets"].values())))["data"]
    floor = floor_on(params, data)
    runs: dict[str, dict[str, dict[int, str]]] = {}  # by attack, defence and seed
    for row, block in params["attack_runs"].items():
        if block["data"] == data and (block["attack"] != FLOOR or row in floor):
            name = FLOOR if block["attack"] == FLOOR else attack_run_label(params, block)
            by_defense = runs.setdefault(block["attack"], {})
            by_defense.setdefault(name, {})[int(block["seed"])] = row
    return {attack: _of_one_seed(data, by_defense) for attack, by_defense in runs.items()}


def _of_one_seed(data: str, by_defense: Mapping[str, Mapping[int, str]]) -> SideBySide:
    seed = min(set.intersection(*map(set, by_defense.values())), default=None)
    shown = {name: of[min(of) if seed is None else seed] for name, of in by_defense.items()}
    return SideBySide(data, shown, seed)


def _setting(target: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(target[key]) for key in ("data", "arch")}


def _refuse_equal_seeds(section: str, group: list[str], rows: Blocks) -> None:
    """A mean over seeds must not hide two different experiments."""
    seen: dict[Any, str] = {}
    for row in group:
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
