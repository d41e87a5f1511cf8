"""What of people's looks comes to light, by the attack on each defence that brings most of it.

That attack need not be the one that the evaluator recognises most of. By groups of the parameters
that a judge reads. `farther` is the share of other people who are farther from an image than the
attacked person: a half where the image says nothing of the person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from trapmid.config.evaluation import UNDEFENDED
from trapmid.metrics.statistics import comparisons
from trapmid.report.averages import mean_of
from trapmid.report.groups import Groups, floor_on
from trapmid.report.inputs import Inputs
from trapmid.report.judged import Measured, at, measured
from trapmid.report.looks import Difference, Shares, difference
from trapmid.report.marks import Marks
from trapmid.report.worst import greatest
from trapmid.scoring.judged import IdentityScores

CHANCE = 0.5
READABLE = 0.6
"""A group that real images show less well than this cannot be read at all."""


class Trait(NamedTuple):
    """One group of parameters; shares of other people who are farther."""

    name: str
    leaked: Measured  # the attack's images
    floor: float | None  # random latents, the mean over seeds; None: they were not scored
    ceiling: float | None  # real private images

    @property
    def readable(self) -> bool:
        """Whether the judge tells people apart by it."""
        return self.ceiling is None or self.ceiling >= READABLE

    @property
    def leaks(self) -> bool:
        """Whether the whole interval lies above chance."""
        return self.leaked.ends is not None and self.leaked.ends[0] > CHANCE

    @property
    def unbounded(self) -> bool:
        """Whether it is above chance, and no interval says how surely.

        There is none where every person has the same share, be it all of the others.
        """
        value = self.leaked.value
        return self.leaked.ends is None and value is not None and value > CHANCE


class Leakage(NamedTuple):
    """Of one defence, the attack whose images bring most of people's looks to light."""

    defense: str  # its name in tables
    attack: str
    aa1: float | None  # the defence's highest, of whatever attack
    seeds: int  # of `attack`
    overall: Trait  # all parameters together
    traits: list[Trait]  # those that real images show best come first
    # Yes/no attributes: share of images with the attacked person's mark.
    marks: Sequence[Trait] = ()
    people: Mapping[int, Shares] = {}  # by seed
    mark: str = ""  # behind numbers of `attack`: `Marks.behind`
    aa1_mark: str = ""  # behind `aa1`

    @property
    def readable(self) -> list[Trait]:
        """Those of which the judge can say something."""
        return [trait for trait in self.traits if trait.readable]


Verdict = Literal["less", "more", "cannot tell"]
_WORDS: dict[comparisons.Verdict, Verdict] = {
    "lower": "less",
    "higher": "more",
    "cannot tell": "cannot tell",
}


def leakages(inputs: Inputs, metrics: Mapping[str, Any]) -> dict[str, Leakage]:
    """By defence, the most that an attack brings to light; none where no judge reads it.

    That is the attack with the highest `farther` over all parameters. One on a part of the people
    does not rank beside those on all, nor one that found images of a part alone: whom it found may
    be whose looks are easily found.

    Args:
        inputs: the study.
        metrics: the content of reports/metrics.json.
    """
    groups, marks = Groups.of(inputs.params).attacks, Marks.of(inputs.params, inputs.attack_runs)
    found = {}
    for defense, worst in metrics["worst"].items():
        rows = {attack: by[defense] for attack, by in groups.items() if defense in by}
        attack = greatest(
            {one: _brought(inputs, own) for one, own in rows.items()},
            [*marks.partial_on(defense), *_with_gaps(inputs, rows)],
            worst["attack"],
        )
        attack = attack or worst["attack"]  # nothing was found: the first among equals
        leak = None if attack is None else _of(inputs, defense, attack, worst, rows[attack])
        if leak is not None:
            found[defense] = leak._replace(
                mark=marks.behind(leak.attack, defense),
                aa1_mark=marks.behind(worst["attack"], defense),
            )
    return found


def _with_gaps(inputs: Inputs, rows: Mapping[str, Iterable[str]]) -> list[str]:
    """The attacks that did not find every image."""
    return [
        attack
        for attack, own in rows.items()
        if any(inputs.attack_runs[row].coverage < 1 for row in own)
    ]


def _brought(inputs: Inputs, rows: Iterable[str]) -> float | None:
    """`farther` over all parameters, as a mean over rows that are seeds of one."""
    return mean_of([at(inputs.attack_runs[row], "judges.identity.farther") for row in rows])


def _of(
    inputs: Inputs, defense: str, attack: str, worst: Mapping[str, Any], rows: list[str]
) -> Leakage | None:
    scores = [inputs.attack_runs[row] for row in rows]
    first = next((one.judges.identity for one in scores if one.judges), None)
    if first is None:
        return None
    block = inputs.params["attack_runs"][rows[0]]
    floor, ceiling = _floor(inputs, block), ceiling_of(inputs, block)

    def trait(name: str, path: str) -> Trait:
        least = mean_of([at(one, path) for one in floor])
        most = at(ceiling, path) if ceiling else None
        return Trait(name, measured(scores, f"judges.identity.{path}"), least, most)

    traits = [trait(group, f"groups.{group}.farther") for group in first.groups]
    traits.sort(key=lambda trait: (-(trait.ceiling or 0), trait.name))
    overall = trait("everything together", "farther")
    marks = [trait(name, f"attributes.{name}.attacked") for name in first.attributes]
    runs = inputs.params["attack_runs"]
    people = {int(runs[row]["seed"]): inputs.looks[row] for row in rows if row in inputs.looks}
    return Leakage(defense, attack, worst["aa1"], len(rows), overall, traits, marks, people)


def _floor(inputs: Inputs, block: Mapping[str, Any]) -> list[IdentityScores]:
    """Random latents of the same people by the same judge, one of each seed."""
    rows = inputs.params["attack_runs"]
    alike = [
        inputs.attack_runs[row].judges
        for row in floor_on(inputs.params, block["data"])
        if rows[row]["identity"] == block["identity"]
    ]
    return [one.identity for one in alike if one and one.identity]


def ceiling_of(inputs: Inputs, block: Mapping[str, Any]) -> IdentityScores | None:
    """Real test images by the judge that an attack run names."""
    judge = inputs.judges.get(Path(block["identity"]).stem)
    return judge.identity if judge else None


def undefended(found: Mapping[str, Leakage], defense: str) -> Leakage | None:
    """The same data and architecture without a defence; None: there is none, or it is this one."""
    name, at_sign, setting = defense.partition("@")
    return None if name == UNDEFENDED else found.get(UNDEFENDED + at_sign + setting)


def differences(found: Mapping[str, Leakage]) -> dict[str, Difference]:
    """By defence, its difference to no defence; p has Holm's correction over all of them."""
    pairs = {
        defense: made
        for defense, one in found.items()
        if (base := undefended(found, defense)) is not None
        and (made := difference(one.people, base.people)) is not None
    }
    corrected = comparisons.holm([one.p for one in pairs.values()])
    return {
        defense: one._replace(p=p)
        for (defense, one), p in zip(pairs.items(), corrected, strict=True)
    }


def compared(one: Leakage, base: Leakage, paired: Difference | None = None) -> Verdict:
    """Whether attributes leak less than from `base`, by the test on the same people and seeds.

    Where they have none in common: only where the intervals do not meet. With fewer than three
    seeds of either it is said of these trained targets alone.
    """
    if paired is not None:
        return _WORDS[comparisons.verdict(paired.value, paired.p)]
    ours, theirs = one.overall.leaked.ends, base.overall.leaked.ends
    if ours is None or theirs is None:
        return "cannot tell"
    if ours[1] < theirs[0]:
        return "less"
    return "more" if ours[0] > theirs[1] else "cannot tell"


def share_left(one: Leakage, base: Leakage) -> float | None:
    """How much of what leaks above chance from `base` leaks from `one`; None: nothing does."""
    ours, theirs = one.overall.leaked.value, base.overall.leaked.value
    if ours is None or theirs is None or theirs <= CHANCE:
        return None
    return max(0.0, (ours - CHANCE) / (theirs - CHANCE))
