"""Whether the numbers can be relied on: what comes first, and the table of checks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trapmid.artifacts import results
from trapmid.report import leaks, names, stars
from trapmid.report.blocks import Block, Line, Note, Picture, Pictures, Section, table
from trapmid.report.findings import CheckLine, Findings
from trapmid.report.headline import Headline, headlines, sentences, unlike
from trapmid.report.inputs import Inputs
from trapmid.report.judged import agreed_on_real
from trapmid.report.markdown import anchor, escaped
from trapmid.report.sections import audited, hits, judges
from trapmid.report.sections.study import deviations
from trapmid.report.words import percent

_DRAWN = (
    "The faces are drawn by a program. They are not people, and a defence that works on them need "
    "not work on photographs: the numbers test this code and show the mechanism, they are no "
    "evidence about real faces."
)
_DIGITS = "Five classes of handwritten digits prove nothing scientifically."
_ONE_SEED = (
    "There is one seed. It says nothing about variance: another seed of the defence's triggers may "
    "give a very different attack accuracy."
)
_CHECKS, _LIMITS = "Checks", "Limits"
_TITLE = "Does a trapdoor keep {what} private?"
_OF_AN_AUDIT = "What does the audited model give away?"
_AA1 = (
    "**AA-1**: share of reconstructions in which an independent classifier recognises the attacked "
    "person. Lower is more private."
)
_AGREE = (
    "**All judges agree**: besides, {voices}. What they do not agree on may be an image that fools "
    "the classifier."
)
_OF_REAL = "Of a person's real test images they agree on {share}."
_ACCEPTS = "a verifier{strange} accepts the image as the person's"
_STRANGE = " that never saw the private people"
_NEARER = "by its appearance (skin, hair, glasses, ...) no other private person is nearer"
_PARTLY = "the attack attacked a part of the people alone."
_SHORT = {
    "synthetic": "The faces are drawn by a program: no evidence about real faces",
    "digits": "Handwritten digits, no faces: a person on this page is one of the digits",
}
_TRADE_OFF = "figures/trade_off.png"
_READ_TRADE_OFF = (
    "Privacy against utility. How to read it: further down is more private, further right more "
    "accurate. A large mark is a defence."
)
_READ_WORST = (
    "The worst reconstruction. Above a private image, below what the named attack made of it: the "
    "one of whose images all judges agree on most (where they agree on none: the one with the "
    "highest AA-1). Of its images on which all judges agree (else: that are recognised), it is the "
    "one nearest to its person, picked by result."
)


def front(found: Findings) -> list[Block]:
    """What a reader sees first: whether the study is valid, then what every defence is worth.

    A failed check that invalidates the study stands above all; one that weakens a number stands
    below the sentences, in which the number has a star.
    """
    invalid, weak = _failures(found.checks)
    lines, unmet = headlines(found), unlike(found)
    return [
        f"# {_OF_AN_AUDIT if audited.is_audit(found) else _TITLE.format(what=_what(found))}",
        *invalid,
        _about(found),
        *(audited.front(found) if audited.is_audit(found) else []),
        _AA1,
        *_agreement(found),
        *([] if audited.is_audit(found) else [_by_defence(lines)]),
        *([f"\\*: {found.star}."] if any(one.doubted or one.broken for one in lines) else []),
        *filter(None, [stars.about_judges(found.judged_in_doubt.values())]),
        *([f"†: {_PARTLY}"] if any(one.partial or one.agreed_partly for one in lines) else []),
        *([Note("warning", unmet)] if unmet else []),
        *weak,
        *_overview(found, lines),
    ]


def _what(found: Findings) -> str:
    """Whose images the targets learnt."""
    return "digits" if "digits" in origins(found.params) else "faces"


def _by_defence(lines: Iterable[Headline]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences(lines))


def _agreement(found: Findings) -> list[str]:
    """What "all judges agree" means here; nothing where no judge has a voice."""
    voices = judges.heard(found)
    verifiers = [one for one in voices if one.verifier]
    accepts = _ACCEPTS.format(strange=_STRANGE * judges.strangers(verifiers))
    parts = [accepts] * bool(verifiers) + [_NEARER] * (len(verifiers) < len(voices))
    if not parts:
        return []
    real = agreed_on_real(found.params, found.inputs.attack_runs)
    most = [] if real is None else [_OF_REAL.format(share=real.share)]
    return [" ".join([_AGREE.format(voices=", and ".join(parts)), *most, *hits.strict(voices)])]


def _about(found: Findings) -> str:
    """The study in one line: whose faces, how many seeds, and how its checks went."""
    count = f"{len(found.seeds)} seed{'s' * (len(found.seeds) != 1)}"
    profile = f"Study **{escaped(found.params['profile'])}**"
    what = "An audit" if audited.is_audit(found) else profile
    made_by = origins(found.params)
    faces = "; ".join(words for kind, words in _SHORT.items() if kind in made_by)
    passed = sum(check.passed for check in found.checks)
    every = len(found.checks)
    checks = f"All {every}" if passed == every else f"{passed} of {every}"
    return (
        f"{what}, {count}. {faces + '. ' if faces else ''}"
        f"[{checks} validity checks](#{anchor(_CHECKS)}) passed. "
        f"[Limits](#{anchor(_LIMITS)})."
    )


def _overview(found: Findings, lines: Iterable[Headline]) -> list[Block]:
    """The plot of privacy against utility, and a face beside its worst reconstruction."""
    worst, marks = [one for one in lines if one.attack], found.marks.among(found.strongest)
    points = "; ".join(
        f"{names.defense(one.defense)}: accuracy {percent(one.accuracy, 1)}, AA-1 "
        f"{percent(one.aa1, 1)}{marks.behind(str(one.attack), one.defense)}"
        for one in worst
    )
    kinds = {ends.kind for one in worst for ends in (one.interval, one.accuracy_within) if ends}
    line = " A small mark is one seed." * (len(found.seeds) > 1)
    line += " Lines through a mark are 95 % intervals." * bool(kinds)
    line += " Of two seeds they go from one to the other." * ("range" in kinds)
    line += found.about_marks(marks)
    pictures = (
        Picture(
            _TRADE_OFF, _READ_TRADE_OFF + line, f"Scatter plot of accuracy and AA-1. {points}."
        ),
        Picture(
            leaks.PATH,
            _READ_WORST,
            "Per defence a private image and below it the reconstruction that comes nearest: "
            f"{', '.join(names.defense(one.defense) for one in worst)}.",
        ),
    )
    shown = [picture for picture in pictures if picture.path in found.pictures]
    return [Pictures(shown, 2)] if shown else []


def _failures(checks: Iterable[CheckLine]) -> tuple[list[Note], list[Note]]:
    """What failed and makes the study invalid, and what makes a number weak."""
    every = list(checks)
    failed = _failed(every)
    invalid = [check for check in failed if check.invalid]
    weak = [check for check in failed if not check.invalid]
    grave = (
        f"**{len(invalid)} of {len(every)} validity checks failed, so the study is invalid. "
        "Do not rely on the numbers below before this is understood.**"
    )
    light = (
        f"**{len(weak)} of {len(every)} checks failed that make a number weak, not the study "
        "invalid.** Read the numbers that they are about with it in mind."
    )
    return (
        [Note("caution", _with_list(grave, invalid))] if invalid else [],
        [Note("warning", _with_list(light, weak))] if weak else [],
    )


def _failed(checks: Iterable[CheckLine]) -> list[CheckLine]:
    """Those that failed; first those that make the study worthless."""
    return sorted((c for c in checks if not c.passed), key=lambda check: not check.invalid)


def _with_list(head: str, checks: Iterable[CheckLine]) -> str:
    lines = [f"{head}\n"]
    for check in checks:
        detail = f" Found: {escaped(check.detail)}." if check.detail else ""
        lines.append(f"- **{escaped(check.title)}**: should hold: {escaped(check.meaning)}{detail}")
    return "\n".join(lines)


def cautions(found: Findings) -> list[str]:
    """What the study cannot show, however its checks went, as Markdown."""
    made_by = origins(found.params)
    made = [_DRAWN] * ("synthetic" in made_by) + [_DIGITS] * ("digits" in made_by)
    made += _noisy(found.inputs)
    if len(found.seeds) == 1:
        made.append(_ONE_SEED)
    elif len(found.seeds) < 5:
        made.append(
            f"There are {len(found.seeds)} seeds: read every seed's line, not only the mean."
        )
    return made


def origins(params: dict[str, Any], data: str | None = None) -> set[str]:
    """Who made the private images that a classifier learnt: makers of raw folders, readers.

    Args:
        data: of this row of `data` alone; None: of those of all classifiers.
    """
    rows = results.TRAINED[: results.TRAINED.index("targets") + 1]
    used = {block["data"] for section in rows for block in params[section].values()}
    used = used if data is None else {data}
    sides = [params["data"][row]["private"] for row in used]
    return {side["reader"] for side in sides} | {
        block["maker"]
        for side in sides
        for name, block in params["raw"].items()
        if Path(side["path"]).is_relative_to(f"data/raw/{name}")
    }


def _noisy(inputs: Inputs) -> list[str]:
    noisy = [row for row, scores in inputs.targets.items() if scores.stochastic]
    if not noisy:
        return []
    return [
        f"By design {escaped(', '.join(noisy))} draw{'s' * (len(noisy) == 1)} noise at every "
        "forward pass, in use as in every attack. The scores here are one draw of it, which "
        "repeats with the seed; the check of determinism leaves such targets out."
    ]


def limits(found: Findings) -> Section:
    """What the study cannot show, and where it differs from the papers."""
    notes = [Note("warning", caution) for caution in cautions(found)]
    return Section(_LIMITS, [*notes, *deviations(found)])


def checks(found: Findings) -> Section:
    """Every check; those that failed first."""
    ordered = [*_failed(found.checks), *(check for check in found.checks if check.passed)]
    lines = [
        Line((check.title, verdict, check.meaning, check.detail), kind)
        for check in ordered
        for verdict, kind in [("passed", "") if check.passed else ("FAILED", "failed")]
    ]
    return Section(_CHECKS, [table("llp", ("Check", "Result", "What must hold", "Found"), lines)])
