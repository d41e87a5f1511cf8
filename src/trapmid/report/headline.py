"""What the report says first of every defence: one sentence that needs no other knowledge.

A clause whose number a study does not have is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from trapmid.report import names, twins
from trapmid.report.findings import Findings
from trapmid.report.marks import Marks
from trapmid.report.stars import JUDGES
from trapmid.report.words import percent
from trapmid.report.worst import agreed, most_agreed

_MATRIX = "every-attack-on-every-defence"  # address of the section

_WORDS: dict[str, str] = {"range": "from"}
"""What an interval is called that is not one of 95 % confidence."""

_ALONE = (
    "No target of this network was attacked without a defence, so nothing here says that these "
    "attacks work on it."
)
_JUDGES = {"accepted": "verifier", "identity_aa1": "appearance"}
"""What the judges of `means.JudgedMeans` are called in a sentence."""


class Ends(NamedTuple):
    """An interval of a rate, in [0, 1]."""

    low: float
    high: float
    kind: str  # as in metrics.statistics.intervals

    def words(self) -> str:
        """In percent."""
        words = _WORDS.get(self.kind, "95 % interval")
        return f"{words} {100 * self.low:.1f} to {100 * self.high:.1f} %"


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One defence at its worst; rates in [0, 1].

    What the evaluator recognises and what all judges agree on may be the worst of two attacks.
    """

    defense: str  # its name in tables
    attack: str | None  # the strongest one; None: none ran
    attacks: int  # how many may be the strongest
    seeds: int  # of the strongest
    aa1: float | None
    interval: Ends | None = None  # of AA-1
    agreeing: str | None = None  # the attack of whose images all judges agree on most; None: none
    judged: Mapping[str, float | None] | None = None  # its `means.JudgedMeans`; None: no judge
    agreed: Ends | None = None  # the interval of what all judges agree on
    agreed_partly: bool = False  # that attack attacked a part of the people
    agreed_broken: bool = False  # a check of that attack failed
    agreed_doubted: bool = False  # a check of the judges failed
    agreed_of_strongest: float | None = None  # the same share of the strongest by AA-1
    beyond: tuple[str, float] | None = None  # an attack on a part of the people that gets more
    doubted: bool = False  # a check of the attack failed
    broken: tuple[str, ...] = ()  # the other attacks of which one failed
    partial: bool = False  # it attacked a part of the people
    accuracy: float | None = None  # of the target on test images
    accuracy_within: Ends | None = None  # its interval
    undefended: float | None = None  # accuracy without a defence; None: this is that target
    slowdown: float | None = None  # its training time over that without a defence
    alone: bool = False  # no target of its network and data was attacked without a defence

    @property
    def mark(self) -> str:
        """What stands behind AA-1: Markdown."""
        return "\\*" * self.doubted + "†" * self.partial

    def sentence(self, *, explained: bool = False) -> str:
        """The defence, what the strongest attack got, and what the defence costs: Markdown.

        Args:
            explained: the attack has a few words on what it does.
        """
        got = self._got(names.gloss(self.attack or "") if explained else "")
        parts = [got, self._broken(), self._agreed(), self._cost(), _ALONE * self.alone]
        return f"**{names.defense(self.defense)}**: {' '.join(part for part in parts if part)}"

    def _got(self, gloss: str) -> str:
        if self.attack is None or self.aa1 is None:
            return "no attack ran."
        strongest = f"the strongest of {self.attacks} attacks" if self.attacks > 1 else "one attack"
        seeds = f", mean of {self.seeds} seeds" if self.seeds > 1 else ""
        interval = "" if self.interval is None else self.interval.words()
        details = f"{interval}{seeds}".removeprefix(", ")
        attack = names.attack(self.attack) + (f" ({gloss})" if gloss else "")
        return (
            f"{strongest}, {attack}, gets AA-1 "
            f"**{percent(self.aa1, 1)}**{self.mark}" + (f" ({details})" if details else "") + "."
        ) + self._beyond()

    def _broken(self) -> str:
        """That the worst case is one of the attacks that worked: others may get more."""
        if not self.broken:
            return ""
        attacks = ", ".join(f"{names.attack(one)}\\*" for one in self.broken)
        return f"A check failed of {attacks}: this may not be its worst case."

    def _beyond(self) -> str:
        if self.beyond is None:
            return ""
        attack, aa1 = self.beyond
        return f" {names.attack(attack)}, on a part of the people alone, gets {percent(aa1, 1)}."

    def _agreed(self) -> str:
        """The most that all judges agree on, of whatever attack it is."""
        if self.agreeing is None or self.judged is None or self.judged["agree"] is None:
            return ""
        parts = [
            f"{words} {percent(rate, 1)}"
            for name, words in _JUDGES.items()
            if (rate := self.judged[name]) is not None
        ]
        ends = "" if self.agreed is None else f", {self.agreed.words()}"
        mark = "\\*" * self.agreed_broken + "†" * self.agreed_partly
        mark += JUDGES * self.agreed_doubted
        agree = f"**{percent(self.judged['agree'], 1)}**{mark}"
        most = f"At worst, all judges agree on {agree} ({names.attack(self.agreeing)}{ends})"
        return f"{most}: {', '.join(parts)}.{self._another()}"

    def _another(self) -> str:
        """That most was brought to light by another attack than the strongest by AA-1."""
        if self.attack is None or self.agreeing in (None, self.attack):
            return ""
        words = " That is another attack"
        if self.agreed_of_strongest is None:
            return f"{words}."
        share = percent(self.agreed_of_strongest, 1)
        return f"{words}: of the images of {names.attack(self.attack)} all judges agree on {share}."

    def _cost(self) -> str:
        if self.accuracy is None:
            return ""
        ends = "" if self.accuracy_within is None else self.accuracy_within.words()
        if self.undefended is None:
            details = f" ({ends})" if ends else ""
            return f"Its test accuracy is {percent(self.accuracy, 1)}{details}."
        lost = round(100 * (self.undefended - self.accuracy), 1)
        verb = "gains" if lost < 0 else "costs"
        change = f"{abs(lost):.1f} points of test accuracy" if lost else "no test accuracy"
        if ends:
            change += f" ({percent(self.accuracy, 1)}, {ends})"
        if self.slowdown is None:
            return f"It {verb} {change}."
        return f"It {verb} {change} and takes {self.slowdown:.1f} times the training time."


def headlines(found: Findings) -> list[Headline]:
    """One per defence that has a target, in the order of params.yaml."""
    return [_of(found, found.marks, defense) for defense in found.targets]


def _of(found: Findings, marks: Marks, defense: str) -> Headline:
    worst = found.metrics["worst"][defense]
    attack = worst["attack"]
    agreeing = most_agreed(found.metrics, defense, marks.partial_on(defense))
    base = twins.undefended(found, defense)
    apart = _apart(found, marks, defense)
    return Headline(
        defense=defense,
        attack=attack,
        attacks=worst["attacks"] - len(apart),
        seeds=len(found.attack_runs.get((attack, defense), ())),
        aa1=worst["aa1"],
        interval=interval_of(found.metrics, attack, defense),
        agreeing=agreeing,
        judged=_with_a_voice(found, agreeing, defense),
        agreed=interval_of(found.metrics, agreeing, defense, "judges.agree"),
        agreed_partly=bool(marks.dagger(agreeing or "", defense)),
        agreed_broken=agreeing in worst["failed"],
        agreed_doubted=(agreeing, defense) in found.judged_in_doubt,
        agreed_of_strongest=agreed(found.metrics, attack, defense),
        beyond=_beyond(apart, worst["aa1"]),
        doubted=attack in worst["failed"],
        broken=tuple(one for one in worst["failed"] if one != attack),
        partial=bool(attack) and bool(marks.dagger(attack, defense)),
        accuracy=found.metrics["targets"][defense]["test_accuracy"],
        accuracy_within=accuracy_interval(found.metrics, defense),
        undefended=None
        if base in (None, defense)
        else found.metrics["targets"][base]["test_accuracy"],
        slowdown=twins.slowdown(found, defense),
        alone=attack is not None and not twins.attacked(found, base),
    )


def _apart(found: Findings, marks: Marks, defense: str) -> dict[str, float]:
    """AA-1 of the attacks that do not rank among the others, as they met a part of the people."""
    partial = marks.partial_on(defense)
    if found.metrics["worst"][defense]["attack"] in partial:  # then all did
        return {}
    rates = {one: found.metrics["attacks"][one][defense]["aa1"] for one in partial}
    return {one: rate for one, rate in rates.items() if rate is not None}


def _beyond(apart: Mapping[str, float], aa1: float | None) -> tuple[str, float] | None:
    """The highest of `apart`, if it is above the worst case."""
    attack = max(apart, key=lambda one: apart[one], default=None)
    if aa1 is None or attack is None or apart[attack] <= aa1:
        return None
    return attack, apart[attack]


def _with_a_voice(found: Findings, attack: str | None, defense: str) -> dict[str, Any] | None:
    """`means.JudgedMeans` of an attack, without the numbers of a judge that has no voice."""
    judged = found.metrics["attacks"].get(attack, {}).get(defense, {}).get("judges")
    if judged is None:
        return None
    rows = found.attack_runs[str(attack), defense]
    asked = [scores for row in rows if (scores := found.inputs.attack_runs[row].judges)]
    voices = {name for scores in asked for name in scores.disagreement}
    silent = {} if "identity" in voices else {"identity_aa1": None}
    return {**judged, **silent}


def sentences(found: Iterable[Headline]) -> list[str]:
    """One per defence; an attack is explained where it is named first."""
    seen: set[str | None] = set()
    lines = []
    for one in found:
        lines.append(one.sentence(explained=one.attack not in seen))
        seen.add(one.attack)
    return lines


def interval_of(
    metrics: Mapping[str, Any], attack: str | None, defense: str, name: str = "aa1"
) -> Ends | None:
    """The interval of a rate, AA-1 unless named, in metrics.json; None where there is none."""
    return _ends(metrics["attacks"].get(attack, {}).get(defense, {}), name)


def accuracy_interval(metrics: Mapping[str, Any], defense: str) -> Ends | None:
    """The interval of a defence's test accuracy, in metrics.json; None where there is none."""
    return _ends(metrics["targets"].get(defense, {}), "test_accuracy")


def _ends(scores: Mapping[str, Any], name: str) -> Ends | None:
    found = scores.get("intervals", {}).get(name)
    return None if found is None else Ends(found["low"], found["high"], found["kind"])


def unlike(found: Findings) -> str:
    """A warning where an attack did not meet every defence; else empty."""
    defenses = list(found.targets)
    met = {
        attack: [defense for defense in defenses if defense in groups]
        for attack, groups in found.metrics["attacks"].items()
    }
    partly = [
        f"{names.attack(attack)} ran on {_few(some)}"
        for attack, some in met.items()
        if len(some) < len(defenses)
    ]
    if not partly:
        return ""
    return (
        f"**Defences met different attacks**: {'; '.join(partly)} alone. A defence that met fewer "
        f"attacks looks better than it is: compare attack by attack in [the matrix](#{_MATRIX})."
    )


def _few(defenses: list[str]) -> str:
    return (
        " and ".join(map(names.defense, defenses))
        if len(defenses) < 3
        else f"{len(defenses)} defences"
    )
