"""Of how many people an audit's attacks got something, and of whom most: a line of its page."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from trapmid.config.evaluation import AUDITED
from trapmid.report import names
from trapmid.report.findings import Findings
from trapmid.report.markdown import anchor, escaped
from trapmid.report.people import Person, by_chance
from trapmid.report.sections import people as of_people

_NAMED = 5  # people on the first screen
_BLIND = "By chance: as many as the evaluator would hit if it guessed blindly at each image."


def line(found: Findings) -> str:
    """By the attack of the list of people, then by any attack; empty where none ran."""
    if AUDITED not in found.exposed:
        return ""
    attack, everybody, overall = found.exposed[AUDITED]
    known = _known(found)
    return (
        f"**Of whom**: {_hit(everybody)} people are recognised in an image or more by "
        f"{names.attack(attack)} ({_chance(everybody, known)}){_by_judges(everybody)}, most often "
        f"{_names(everybody)} ([all of them](#{anchor(of_people.TITLE)})). "
        f"{_by_any(overall, known, found.metrics['worst'][AUDITED]['attacks'])}{_BLIND}"
    )


def _known(found: Findings) -> int:
    """How many people the evaluator can name: all of the data, whoever was attacked."""
    data = found.params["targets"][found.targets[AUDITED][0]]["data"]
    return int(found.params["data"][data]["identities"])


def _by_any(overall: Collection[Person], known: int, attacks: int) -> str:
    """The same by the images of all attacks together, where there are several."""
    if attacks < 2:
        return ""
    return (
        f"By any of the {attacks} attacks it is {_hit(overall)} ({_chance(overall, known)})"
        f"{_by_judges(overall)}. "
    )


def _hit(everybody: Collection[Person]) -> str:
    return f"{sum(person.hits > 0 for person in everybody)} of {len(everybody)}"


def _chance(everybody: Iterable[Person], known: int) -> str:
    return f"by chance {by_chance(everybody, known):.1f}"


def _by_judges(everybody: Collection[Person]) -> str:
    """Of how many people all judges agree on an image; nothing where no judge has a voice."""
    granted = [person.agreed for person in everybody if person.agreed is not None]
    some = sum(one > 0 for one in granted)
    return f", {some} of them by all judges" if granted else ""


def _names(everybody: Iterable[Person]) -> str:
    """The first people with their counts; nobody of whom nothing was got."""
    hit = [one for one in everybody if one.hits]
    return ", ".join(f"{escaped(one.name)} ({_counted(one)})" for one in hit[:_NAMED]) or "nobody"


def _counted(one: Person) -> str:
    """How many images of a person are recognised, and by how many of them all judges."""
    by_all = f", {one.agreed} by all judges" if one.agreed else ""
    return f"{one.hits} of {one.n}{by_all}"
