"""What of people's looks leaks: charts, and the answer to whether a defence lets less of it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trapmid.metrics.statistics.comparisons import LEAST_SEEDS
from trapmid.report import names
from trapmid.report.blocks import Block, Fold, Picture, Pictures, Section, table
from trapmid.report.figures import attributes_path
from trapmid.report.findings import Findings
from trapmid.report.leakage import (
    READABLE,
    Leakage,
    Trait,
    Verdict,
    compared,
    differences,
    leakages,
    share_left,
    undefended,
)
from trapmid.report.looks import Difference
from trapmid.report.markdown import escaped
from trapmid.report.words import percent, rate

TITLE = "Attributes that leak"

_CLAIM = (
    "The paper does not test whether under Trap-MID people's looks leak less, or only the "
    "evaluator's verdict. Here the judge that reads parameters answers: of all other private "
    "people, how many are farther from a reconstruction than the attacked person? Half of them by "
    "chance, all of them at best. On each defence, the attack whose images bring most of people's "
    "looks to light, be it the strongest by AA-1 or not:"
)
_VERDICTS: dict[Verdict, str] = {
    "less": "looks leak less, not the evaluator's verdict alone.",
    "more": "looks leak more.",
    "cannot tell": "cannot tell whether looks leak less.",
}
_OF_TARGETS = "in these targets, looks leak {verdict}; of the defence: cannot tell."
_RULE = "“Less” and “more” are said where the two 95 % intervals do not meet"
_PAIRED = (
    "“Less” and “more” are said where a test of the difference on the same people says so, with "
    "Holm's correction over the defences (p below 0.05)"
)
_FEW = f", with fewer than {LEAST_SEEDS} seeds of the targets that were trained here alone"
_OF_TWO = " (of two, an interval reaches over those of both)"
_EACH = (
    "A feature is above chance where its own interval is; nothing corrects for how many features "
    "there are."
)
_MARKS = "{count} yes/no attributes, one by one"
_SHARES = (
    "In percent: the share of images with the attacked person's mark, where both sides of a mark "
    "may be frequent among all people: so random latents are the floor, and not a half."
)
_READ = (
    "How to read it: a line is a group of features. A blue square is what the reconstructions "
    "show, its line the 95 % interval{few}; an orange ring, the attack that brings most to light "
    "without a defence. The grey band goes from random latents to real private images. Further "
    "left is more private."
)


def attributes(found: Findings) -> Section:
    """The answer in sentences, and a chart per defence; empty where no judge reads looks."""
    leaks = leakages(found.inputs, found.metrics)
    if not leaks:
        return Section(TITLE, [])
    shown = [
        Picture(path, _caption(one), _told(one))
        for defense, one in leaks.items()
        if (path := attributes_path(defense)) in found.pictures
    ]
    tested = differences(leaks)
    brought = {(one.attack, defense) for defense, one in leaks.items()}
    marks = found.marks.among(brought | found.strongest)
    blocks: list[Block] = [
        _CLAIM,
        "\n".join(
            f"- {sentence(one, undefended(leaks, d), tested.get(d))}" for d, one in leaks.items()
        ),
        f"{_rule(leaks, paired=bool(tested))} {_EACH}{found.about_marks(marks)}",
    ]
    blocks += _marks(list(leaks.values()))
    if shown:
        few = " (of two seeds their range)" * any(one.seeds == 2 for one in leaks.values())
        blocks += [_READ.format(few=few) + _unreadable(leaks), Pictures(shown, 2)]
    return Section(TITLE, blocks)


def _marks(leaks: Sequence[Leakage]) -> list[Block]:
    """CelebA's yes/no attributes behind a click: the attacked person's mark, defence by defence."""
    first = leaks[0].marks
    if not first:
        return []
    of = [{mark.name: mark for mark in one.marks} for one in leaks]
    lines = [
        (
            mark.name.replace("_", " "),
            rate(mark.floor, 1),
            *(found[mark.name].leaked.words() if mark.name in found else "–" for found in of),
            rate(mark.ceiling, 1),
        )
        for mark in first
    ]
    heads = ("Attribute", "Random latents", *map(_caption, leaks), "Real images")
    return [Fold(_MARKS.format(count=len(first)), [_SHARES, table("lr", heads, lines)])]


def _rule(leaks: Mapping[str, Leakage], *, paired: bool) -> str:
    """When looks are said to leak less."""
    few = any(one.seeds < LEAST_SEEDS for one in leaks.values())
    return f"{_PAIRED}{_FEW * few}." if paired else f"{_RULE}{(_FEW + _OF_TWO) * few}."


def sentence(one: Leakage, base: Leakage | None, paired: Difference | None = None) -> str:
    """What one defence lets out, and how that compares with no defence: Markdown."""
    head = f"**{escaped(names.defense(one.defense))}**: "
    verdict = "" if base is None else f"{_verdict(one, base, paired)} "
    attack, leaked = names.attack(one.attack), one.overall.leaked
    ends = "" if leaked.ends is None else f" ({_percents(leaked.ends)})"
    share = percent(leaked.value, 1) + escaped(one.mark)
    got = f"by {attack} {share}{ends} of others are farther away"
    got = got[0].upper() + got[1:] if verdict else got
    return f"{head}{verdict}{got}{_apart(paired)}. {_left(one, base)}{_groups(one)}"


def _apart(paired: Difference | None) -> str:
    """The difference to no defence, in points."""
    if paired is None:
        return ""
    points = f"{abs(100 * paired.value):.1f} points {'less' if paired.value < 0 else 'more'}"
    ends = paired.interval
    within = f"95 % interval {100 * ends.low:+.1f} to {100 * ends.high:+.1f}; " if ends else ""
    return f", {points} than without a defence ({within}p {paired.p:.2g})".replace("-", "−")


def _verdict(one: Leakage, base: Leakage, paired: Difference | None) -> str:
    """Of the defence from three seeds on; of fewer, of these targets."""
    said = compared(one, base, paired)
    seeds = min(one.seeds, base.seeds) if paired is None else paired.seeds
    if said == "cannot tell" or seeds >= LEAST_SEEDS:
        return _VERDICTS[said]
    return _OF_TARGETS.format(verdict=said)


def _percents(ends: tuple[float, float]) -> str:
    return f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f} %"


def _left(one: Leakage, base: Leakage | None) -> str:
    """How much of what leaks without a defence is left, beside the evaluator's verdict."""
    share = None if base is None else share_left(one, base)
    if base is None or share is None:
        return ""
    words = f"Of what leaks without a defence above chance, {percent(share, 0)} is left"
    if one.aa1 is not None and base.aa1:
        mark = escaped(one.aa1_mark or base.aa1_mark)  # a ratio is no surer than either
        words += f"; of the highest AA-1, {percent(one.aa1 / base.aa1, 0)}{mark}"
    return f"{words}. "


def _groups(one: Leakage) -> str:
    """The features whose interval lies above chance, as far as the judge can read them."""
    there = one.readable
    leaking = [trait for trait in there if trait.leaks]
    unbounded = ", ".join(
        f"{names.trait(trait.name)} {percent(trait.leaked.value, 1)}"
        for trait in there
        if trait.unbounded
    )
    if unbounded and not leaking:
        return f"Of {len(there)} features, above chance but without an interval: {unbounded}."
    if not leaking:
        return f"No feature is above chance, of {len(there)} that can be read."
    listed = ", ".join(names.trait(trait.name) for trait in leaking)
    verb = "is" if len(leaking) == 1 else "are"
    more = f" Above chance, but without an interval: {unbounded}." if unbounded else ""
    return f"{len(leaking)} of {len(there)} features {verb} above chance: {listed}.{more}"


def _unreadable(leaks: Mapping[str, Leakage]) -> str:
    every = {trait.name for one in leaks.values() for trait in one.traits if not trait.readable}
    if not every:
        return ""
    listed = ", ".join(sorted(map(names.trait, every)))
    return (
        f" In brackets, and not counted: what cannot be read off real images either (below "
        f"{percent(READABLE, 0)}): {listed}."
    )


def _caption(one: Leakage) -> str:
    return f"{names.attack(one.attack)}{one.mark} on {names.defense(one.defense)}"


def _told(one: Leakage) -> str:
    """The chart for those who do not see it."""
    return f"{_caption(one)}: {_numbers([one.overall, *one.readable])}."


def _numbers(traits: Sequence[Trait]) -> str:
    return ", ".join(
        f"{names.trait(one.name)} {percent(one.leaked.value, 0)}"
        + ("" if one.ceiling is None else f" of at most {percent(one.ceiling, 0)}")
        for one in traits
    )
