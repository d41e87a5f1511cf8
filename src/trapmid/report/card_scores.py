"""The numbers of a target's card: what it recognises, what attacks got, and which checks failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from trapmid.config.evaluation import FLOOR
from trapmid.report import doubts, markdown, names
from trapmid.report.blocks import table
from trapmid.report.findings import Findings
from trapmid.report.judged import at
from trapmid.report.markdown import escaped
from trapmid.report.marks import DAGGER, of_row
from trapmid.report.stars import JUDGES, STAR
from trapmid.report.words import percent, plain, rate, within
from trapmid.report.worst import greatest
from trapmid.scoring.checks import OF_JUDGES
from trapmid.scoring.scores import AttackScores, TargetScores

_HEADS = ("Attack", "AA-1 (%)", "AA-5 (%)", "KNN distance", "All judges agree (%)")
_INVALID = (
    "**The study is invalid: {checks} failed. Do not rely on the numbers below before this is "
    "understood.**"
)
_FAILED = "Checks that failed, by whose they are:"
_MARKS = {
    STAR: f"\\{STAR}: a check of this attack failed (see Results): what it got is a lower bound, "
    "or cannot be relied on.",
    DAGGER: f"{DAGGER}: over a part of the people.",
    JUDGES: f"{JUDGES}: a check of the judges failed (see Results): what all judges agree on says "
    "little.",
}

Failed = Mapping[str, Sequence[str]]
"""Names of checks, by whose they are: see `doubts.of_run`."""


def scores(found: Findings, row: str) -> dict[str, str]:
    """By the name of its place in the card, Markdown."""
    attacked = [
        one
        for one in found.inputs.attack_runs.values()
        if one.target == row and one.attack != FLOOR
    ]
    checks = found.metrics["checks"]
    failed = {one.row: doubts.of_run(found.inputs, checks, one.row) for one in attacked}
    lines = [_line(found, one, failed[one.row]) for one in attacked]
    got = markdown.written(table("lr", _HEADS, lines)) if lines else "No attack ran on it."
    grave = doubts.invalidating(checks)
    parts = [
        _recognised(found.inputs.targets[row]),
        got,
        *_explained("".join(cell for line in lines for cell in line)),
        *_listed(found, row, failed),
    ]
    return {
        "invalid": f"\n\n{_INVALID.format(checks=_code(grave))}" if grave else "",
        "results": "\n\n".join(parts),
        "attacked": _worst(found, attacked),
    }


def _recognised(target: TargetScores) -> str:
    text = f"Test accuracy {percent(target.test_accuracy)}{_between(target, 'test_accuracy')}"
    if target.trapdoor_success is not None:
        success = percent(target.trapdoor_success)
        text += f", trapdoor success {success}{_between(target, 'trapdoor_success')}"
    return f"{text}."


def _line(found: Findings, one: AttackScores, failed: Failed) -> tuple[str, ...]:
    """One attack; the mark of the judges stands behind what they agree on."""
    of_judges = "judges" in failed or not set(OF_JUDGES).isdisjoint(failed.get("attack", ()))
    return (
        *(_attack(found, one) + of_row(one), _bounded(one, "aa1"), _bounded(one, "aa5")),
        *(plain(one.knn_dist), _bounded(one, "judges.agree") + JUDGES * of_judges),
    )


def _worst(found: Findings, attacked: Iterable[AttackScores]) -> str:
    """The strongest attack, by the rule of `worst.worst_case`."""
    by_row = {one.row: one for one in attacked}
    rates = {row: one.aa1 for row, one in by_row.items()}
    best = greatest(rates, [row for row, one in by_row.items() if one.left_out])
    if best is None:
        return "No attack ran on it: nothing is known of what it leaks."
    one = by_row[best]
    aa1 = f"{percent(one.aa1, 1)}{escaped(of_row(one))}{_between(one, 'aa1')}"
    more = f"Assume that it leaks: {_attack(found, one)} gets AA-1 {aa1}, and a stronger attack may"
    return "\n\n".join([f"{more} get more.", *_explained(of_row(one))])


def _explained(marks: str) -> list[str]:
    """What the marks in a text mean."""
    return [words for mark, words in _MARKS.items() if mark in marks]


def _listed(found: Findings, row: str, failed: Mapping[str, Failed]) -> list[str]:
    """Every failed check behind the numbers; of the target and the study also without an attack."""
    every: dict[str, list[str]] = {
        "target": doubts.of_rows([found.inputs.targets[row]]),
        "study": doubts.of_study(found.inputs, found.metrics["checks"]),
    }
    for attack_run, parts in failed.items():
        attack = _attack(found, found.inputs.attack_runs[attack_run])
        for whose, some in parts.items():
            every.setdefault(attack if whose == "attack" else whose, []).extend(some)
    lines = [f"- {escaped(whose)}: {_code(some)}" for whose, some in every.items() if some]
    return ["\n".join([_FAILED, "", *lines])] if lines else []


def _code(checks: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in dict.fromkeys(checks))


def _bounded(scores: AttackScores, path: str) -> str:
    """A rate in percent, with the ends of its interval."""
    ends = scores.intervals.get(path)
    return within(rate(at(scores, path), 1), asdict(ends) if ends else None)


def _between(scores: AttackScores | TargetScores, name: str) -> str:
    """The interval of a rate, to stand behind it in a sentence."""
    ends = scores.intervals.get(name)
    if ends is None:
        return ""
    return f" (95 % interval {100 * ends.low:.1f} to {100 * ends.high:.1f} %)"


def _attack(found: Findings, scores: AttackScores) -> str:
    """The attack's name, and its data where they are not the target's own."""
    data = found.params["attack_runs"][scores.row]["data"]
    own = found.params["targets"][scores.target]["data"]
    return names.attack(scores.attack) + (f" ({data})" if data != own else "")
