"""Numbers of attacks that are unlike those beside them, and how tables and charts mark them.

An attack of which a check failed has a star, see `stars`. One on a part of the people has rates
over these alone, and no evaluator recognises as much as another one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from trapmid.config.evaluation import FLOOR
from trapmid.report import names as known
from trapmid.report.groups import attack_run_label
from trapmid.report.markdown import escaped
from trapmid.report.stars import STAR, failed, failed_cells
from trapmid.scoring.scores import Attacks, AttackScores

K = TypeVar("K")

DAGGER = "†"

_PARTIAL = (
    "Such a number is about these people alone; it is a worst case only where no attack on all "
    "people ran."
)
_EVALUATORS = (
    "More than one evaluator judged these attacks; their names are in brackets. Numbers of "
    "different evaluators are not on one scale: a worst case that several judged is the highest "
    "number, whoever gave it."
)

Cell = tuple[str, str]
"""An attack and a defence, by their names in tables."""


class Named(NamedTuple):
    """What a matrix says of its evaluators; nothing where there is one."""

    defenses: Mapping[
        str, str
    ]  # by code the names of lines, where all attacks of each have one evaluator
    attacks: Mapping[str, str]  # else those of columns, where all defences of each have one
    cells: Mapping[Cell, str]  # else the evaluators of every number


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What there is to mark of one study; the floor is no attack."""

    failed: Collection[Cell]  # a check of the attack failed, with any seed
    partial: Mapping[Cell, Sequence[str]]  # "5 of 20" people; not there: all were attacked
    evaluators: Mapping[Cell, Sequence[str]]  # who judged, of all seeds

    @classmethod
    def of(cls, params: Mapping[str, Any], attack_runs: Attacks) -> Marks:
        """The marks of the rows of params.yaml, by their scores."""
        cells = [
            ((str(block["attack"]), attack_run_label(params, block)), attack_runs[row])
            for row, block in params["attack_runs"].items()
            if block["attack"] != FLOOR
        ]
        return cls(
            failed=set(failed_cells(params, attack_runs)),
            partial=_gathered((cell, _people(one)) for cell, one in cells if one.left_out),
            evaluators=_gathered((cell, one.protocol.evaluator) for cell, one in cells),
        )

    def among(self, cells: Collection[Cell]) -> Marks:
        """The marks of a table that has these cells alone."""
        return Marks(
            failed={cell for cell in self.failed if cell in cells},
            partial={cell: one for cell, one in self.partial.items() if cell in cells},
            evaluators={cell: one for cell, one in self.evaluators.items() if cell in cells},
        )

    @property
    def several(self) -> bool:
        """Whether more than one evaluator judged the attacks."""
        return len({name for names in self.evaluators.values() for name in names}) > 1

    def behind(self, attack: str, defense: str) -> str:
        """What stands behind a number: a star where a check failed, a dagger of `dagger`."""
        return STAR * ((attack, defense) in self.failed) + self.dagger(attack, defense)

    def dagger(self, attack: str, defense: str) -> str:
        """A dagger where a part of the people was attacked."""
        return DAGGER if (attack, defense) in self.partial else ""

    def partial_on(self, defense: str) -> list[str]:
        """The attacks on a defence that attacked a part of the people, with any seed."""
        return [attack for attack, attacked in self.partial if attacked == defense]

    def judges(self, attack: str, defense: str) -> str:
        """Who judged an attack on a defence, where a reader has to be told; else nothing."""
        return ", ".join(self.evaluators[attack, defense]) if self.several else ""

    def judges_of(self, defense: str) -> list[str]:
        """Who judged the attacks on a defence."""
        judged = _gathered((one, n) for (_, one), names in self.evaluators.items() for n in names)
        return judged.get(defense, [])

    def named(self) -> Named:
        """Where a matrix names the evaluators: beside as few names or numbers as will do."""
        if not self.several:
            return Named({}, {}, {})
        pairs = [(cell, name) for cell, names in self.evaluators.items() for name in names]
        by_defense = _gathered((defense, name) for (_, defense), name in pairs)
        if _one_each(by_defense):
            return Named(_with_evaluator(by_defense, known.defense), {}, {})
        by_attack = _gathered((attack, name) for (attack, _), name in pairs)
        if _one_each(by_attack):
            return Named({}, _with_evaluator(by_attack, known.attack), {})
        return Named({}, {}, {cell: ", ".join(names) for cell, names in self.evaluators.items()})

    def notes(self) -> list[str]:
        """What the marks mean, to stand below a table: Markdown, nothing where there are none."""
        return [*self._about_partial(), *([_EVALUATORS] if self.several else [])]

    def _about_partial(self) -> list[str]:
        if not self.partial:
            return []
        people = _gathered(
            (attack, n) for (attack, _), found in self.partial.items() for n in found
        )
        attacked = "; ".join(
            f"{escaped(known.attack(attack))} attacked {', '.join(found)} people"
            for attack, found in people.items()
        )
        return [f"{DAGGER}: {attacked}. {_PARTIAL}"]


def of_row(scores: AttackScores) -> str:
    """What stands behind the numbers of one seed."""
    return STAR * bool(failed(scores.checks)) + DAGGER * bool(scores.left_out)


def with_names(text: str, names: str) -> str:
    """The text, and the names in brackets where there are any."""
    return f"{text} ({names})" if names else text


def _people(scores: AttackScores) -> str:
    """How many people were attacked, of how many; what is left out is whole people."""
    attacked, images = scores.protocol.identities, scores.protocol.images_per_identity
    return f"{attacked} of {attacked + scores.left_out // images}"


def _gathered(pairs: Iterable[tuple[K, str]]) -> dict[K, list[str]]:
    """The different values of every key, in their order."""
    found: dict[K, dict[str, None]] = {}
    for key, value in pairs:
        found.setdefault(key, {})[value] = None
    return {key: list(values) for key, values in found.items()}


def _one_each(evaluators: Mapping[str, Sequence[str]]) -> bool:
    return all(len(names) == 1 for names in evaluators.values())


def _with_evaluator(
    evaluators: Mapping[str, Sequence[str]], name: Callable[[str], str]
) -> dict[str, str]:
    return {code: with_names(name(code), found[0]) for code, found in evaluators.items()}
