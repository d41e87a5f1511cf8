"""Which people leak most: under every defence, of whom a revealing attack got most."""

from __future__ import annotations

from collections.abc import Sequence

from trapmid.report import names
from trapmid.report.blocks import Block, Fold, Line, Section, Table, table
from trapmid.report.findings import Findings
from trapmid.report.markdown import escaped
from trapmid.report.people import Exposed, Person
from trapmid.report.people_table import FILE
from trapmid.report.words import rate

TITLE = "Which people leak most"

_FIRST = 10  # people in the table; all are behind a click

_ABOUT = (
    "The share of a person's reconstructions that the evaluator recognises, in percent; in "
    "brackets its 95 % Wilson interval, in which the draws of one person count as independent. "
    "The attack is the one that the evaluator recognises most among those that make several "
    "images of each person"
)
_BY_JUDGES = (
    " or, where the judges agree on any image, the one of whose images all of them agree on most: "
    "that of the first screen, unless it makes a single image of each person. All judges agree: of "
    "the same images, those that the other judges grant as well; of whom they grant most comes "
    "first"
)
_UNEVEN = (
    "Training images are those of this study. Of whom there are more, the evaluator has seen more, "
    "and names that person more often, whatever it sees: compare people who have about as many. "
)
_READ = (
    "A few images of each person are few: intervals that overlap do not rank two people, and who "
    "comes first by luck comes first here, too."
)


def people(found: Findings) -> Section:
    """A table per defence; empty where no attack ran."""
    blocks: list[Block] = []
    for defense, one in found.exposed.items():
        blocks += [
            f"### {escaped(names.defense(defense))}",
            _summed(one),
            _table(one.people[:_FIRST], even=_is_even(one)),
        ]
        if len(one.people) > _FIRST:
            blocks.append(
                Fold(f"All {len(one.people)} people", [_table(one.people, even=_is_even(one))])
            )
    if not blocks:
        return Section(TITLE, [])
    judged = any(one.people[0].agreed is not None for one in found.exposed.values())
    read = _READ if all(map(_is_even, found.exposed.values())) else f"{_UNEVEN}{_READ}"
    link = f"All of it as a table: [{FILE}]({FILE})."
    return Section(TITLE, [f"{_ABOUT}{_BY_JUDGES * judged}.", *blocks, f"{read} {link}"])


def _is_even(one: Exposed) -> bool:
    """Whether as many images of everybody are trained on."""
    return len({person.trained for person in one.people}) == 1


def _summed(one: Exposed) -> str:
    """How the hits are spread over people."""
    some = sum(person.hits > 0 for person in one.people)
    most = sum(2 * person.hits > person.n for person in one.people)
    shown = sum((person.agreed or 0) > 0 for person in one.people)
    agreed = (
        "" if one.people[0].agreed is None else f"; of {shown}, all judges agree on one or more"
    )
    return (
        f"{escaped(names.attack(one.attack))}: of {len(one.people)} people, {some} are recognised "
        f"in at least one reconstruction, {most} in more than half{agreed}."
    )


def _table(shown: Sequence[Person], *, even: bool) -> Table:
    judged = shown[0].agreed is not None
    heads = ("Person", "Recognised (%)", "Images", *(("All judges agree",) if judged else ()))
    if even:
        return table("lr", heads, [Line(_cells(person)) for person in shown])
    lines = [Line((*_cells(person), str(person.trained))) for person in shown]
    return table("lr", (*heads, "Training images"), lines)


def _cells(person: Person) -> tuple[str, ...]:
    within = person.interval
    share = f"{rate(person.rate, 0)} ({rate(within.low, 0)} to {rate(within.high, 0)})"
    agreed = () if person.agreed is None else (f"{person.agreed} of {person.n}",)
    return (escaped(person.name), share, f"{person.hits} of {person.n}", *agreed)
