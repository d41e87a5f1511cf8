"""The first screen of an audit: what the model gives away, to whom, how surely, of whom most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trapmid.report import names
from trapmid.report.blocks import Block, Note
from trapmid.report.findings import Findings
from trapmid.report.headline import headlines, interval_of
from trapmid.report.markdown import anchor, escaped
from trapmid.report.people import Person
from trapmid.report.sections import people as of_people
from trapmid.report.words import percent

AUDITED = "audited"
"""The model's name among the defences, see profiles/audit_drawn.yaml."""

_LABELS_ALONE = ("brepmi",)  # attacks that see no more of the model than what it names
_NAMED = 5  # people on the first screen
_POSITIVE = "positive_control"
_NOTHING = (
    "**This audit shows nothing about the model**: the attacks fail on the control, too, or none "
    "ran."
)
_UNSHOWN = (
    "**These attacks did not get more than chance out of the model.** That is no proof that nobody "
    "can: other attackers have more images, other priors and more time."
)


def is_audit(found: Findings) -> bool:
    """Whether the study is one of `trapmid audit`."""
    return AUDITED in found.targets


def front(found: Findings) -> list[Block]:
    """The verdict, then an answer to each question, a line each."""
    attacks = {
        attack: groups[AUDITED]
        for attack, groups in found.metrics["attacks"].items()
        if AUDITED in groups
    }
    lines = [
        _to("Whoever has the model's file", _strongest(attacks, labels_alone=False), found),
        _to("Whoever sees its labels alone", _strongest(attacks, labels_alone=True), found),
        _between(found.metrics["references"]),
        _most(found),
        *_controls(found),
    ]
    return [_verdict(found), "\n".join(f"- {line}" for line in lines if line)]


def _strongest(attacks: Mapping[str, Any], *, labels_alone: bool) -> str | None:
    """Of the attacks of one kind the one with the highest AA-1."""
    own = [one for one in attacks if (one in _LABELS_ALONE) == labels_alone]
    able = [one for one in own if attacks[one]["aa1"] is not None]
    return max(able, key=lambda one: float(attacks[one]["aa1"]), default=None)


def _verdict(found: Findings) -> Note:
    """Whether the strongest attack got more than random faces get, beyond both intervals."""
    worst = found.metrics["worst"][AUDITED]
    got = interval_of(found.metrics, worst["attack"], AUDITED)
    least = worst["aa1"] if got is None else got.low
    floor = _upper(found.metrics["references"]["floor"])
    if least is not None and least > floor:
        return Note(
            "caution",
            "**The model gives away what its people look like**: the strongest attack has "
            f"{percent(worst['aa1'], 1)} of its images recognised, random faces have at most "
            f"{percent(floor, 1)}.",
        )
    if least is None or not found.metrics["checks"].get(_POSITIVE, True):
        return Note("warning", _NOTHING)
    return Note("warning", _UNSHOWN)


def _upper(means: Mapping[str, Any]) -> float:
    """The upper end of the interval of AA-1, else the rate itself."""
    ends = means.get("intervals", {}).get("aa1")
    return float(ends["high"] if ends else means["aa1"] or 0.0)


def _to(whom: str, attack: str | None, found: Findings) -> str:
    """What one kind of attacker gets; empty where no such attack ran."""
    if attack is None:
        return ""
    means, worst = found.metrics["attacks"][attack][AUDITED], found.metrics["worst"][AUDITED]
    ends = interval_of(found.metrics, attack, AUDITED)
    gloss = "" if attack in _LABELS_ALONE else names.gloss(attack)
    star = "\\*" * (attack in worst["failed"]) + found.marks.dagger(attack, AUDITED)
    return (
        f"**{whom}** gets AA-1 **{percent(means['aa1'], 1)}**{star}"
        + (f" ({ends.words()})" if ends else "")
        + f" by {names.attack(attack)}"
        + (f", which {gloss}" if gloss else "")
        + f".{_agreed(means.get('judges'))}"
    )


def _agreed(judges: Mapping[str, Any] | None) -> str:
    if judges is None or judges["agree"] is None:
        return ""
    return f" All judges agree on {percent(judges['agree'], 1)}."


def _between(ends: Mapping[str, Any]) -> str:
    """The scale on which these numbers stand."""
    return (
        f"**The scale**: random faces, for which nobody asks a model, get "
        f"{percent(ends['floor']['aa1'], 1)}; real test images of these people get "
        f"{percent(ends['ceiling']['aa1'], 1)}."
    )


def _most(found: Findings) -> str:
    """Of how many people something was got, and of whom most."""
    if AUDITED not in found.exposed:
        return ""
    attack, everybody = found.exposed[AUDITED]
    some = sum(person.hits > 0 for person in everybody)
    return (
        f"**Of whom**: {some} of {len(everybody)} people are recognised in an image or more by "
        f"{names.attack(attack)}, most often {_names(everybody)} "
        f"([all of them](#{anchor(of_people.TITLE)}))."
    )


def _names(everybody: Iterable[Person]) -> str:
    """The first people with their counts; nobody of whom nothing was got."""
    hit = [one for one in everybody if one.hits]
    shown = [f"{escaped(one.name)} ({one.hits} of {one.n})" for one in hit[:_NAMED]]
    return ", ".join(shown) or "nobody"


def _controls(found: Findings) -> list[str]:
    """What the same attacks get of a network that was trained here."""
    return [
        f"**The control**, a network that learnt the same people here without a defence: AA-1 "
        f"{percent(one.aa1, 1)} by {names.attack(one.attack)}"
        + (f" ({one.interval.words()})" if one.interval else "")
        + ". Where attacks fail on it, they show nothing about your model."
        for one in headlines(found)
        if one.defense != AUDITED and one.attack is not None
    ]
