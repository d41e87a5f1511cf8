"""Who is it really? What judges say of the images that the evaluator recognises, and of others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from trapmid.report import names, stars
from trapmid.report.averages import mean_of
from trapmid.report.blocks import Block, Line, Section, Table, table
from trapmid.report.findings import Findings
from trapmid.report.groups import Groups
from trapmid.report.judged import agreed_on_real, at, measured
from trapmid.report.markdown import escaped
from trapmid.report.sections.hits import NAMES, Cell, cells, judge_of, meaning, named, refused
from trapmid.report.words import percent, plain, rate
from trapmid.scoring.scores import AttackScores, JudgeScores

TITLE = "Who is it really?"

_EVALUATOR = (
    "The evaluator must name one of the private people, so it names one for a blurred head, too. "
)
_OTHERS = "Judges learnt from other people, and no attack and no target has met them"
_UNKNOWN = (
    "No attack and no target has met a judge; whether one learnt from the private people is not "
    "known"
)
_STRANGERS = "judge_knows_no_private_person"
_VERIFIER = "a verifier accepts an image as a person's, or refuses it"
_READER = (
    "a reader takes the parameters of the drawn face off an image, and the nearest private person "
    "is who it shows"
)
_LOOKS = (
    "a reader takes attributes off an image, which say how somebody looks and not who it is: it "
    "has no voice"
)
_FALSE = "A hit of the evaluator that the {judge} refuses is a false positive."
_TABLE = (
    "In percent, means over seeds; in brackets 95 % intervals (of two seeds their range). All "
    "judges agree: the evaluator names the attacked person{voices}. False positives are a share of "
    "the evaluator's hits, false negatives of the images that the {judge} takes for the person. "
    "Distance: from the attacked person by parameters, in deviations between people; in "
    "brackets from others. In the last line, everybody counts once, as in an attack's, and false "
    "positives are the share of a person's real images that the {judge} refuses."
)
_SECOND = "AA-1, second evaluator"
_HEADS = (
    *(
        "Attack and defence",
        "AA-1",
        _SECOND,
        "All judges agree",
        "False positives",
        "Verifier accepts",
    ),
    *("Nearest by verifier", "Nearest by parameters", "Distance (others)", "False negatives"),
)
_DISTANCES = ("attacked", "others")


def judges(found: Findings) -> Section:
    """How judges work, what they are worth, and what they say; empty without judges."""
    judge = judge_of(found)
    asked = cells(found)
    if not judge or not asked:
        return Section(TITLE, [])
    own = [found.inputs.judges[row] for row in named(found)]
    blocks: list[Block] = [
        _how(own, judge),
        "\n".join(f"- {line}" for line in _quality(own)),
        _TABLE.format(judge=NAMES[judge], voices=_voices(own)) + _marks(found),
        _table(found, asked, judge),
        "### What it means",
        "\n".join(f"- {line}" for line in meaning(found, asked)),
    ]
    return Section(TITLE, blocks)


def _marks(found: Findings) -> str:
    """What the marks in the table mean."""
    doubts = stars.about_judges(found.judged_in_doubt.values())
    return found.about_star(found.marks) + (f" {doubts}" if doubts else "")


def heard(found: Findings) -> list[JudgeScores]:
    """The judges with a voice in "all judges agree" that attack runs name, verifiers first."""
    return [one for row in named(found) if (one := found.inputs.judges[row]).votes]


def strangers(own: Iterable[JudgeScores]) -> bool:
    """Whether all of these judges learnt from people who are known to be none of the private."""
    return all(one.checks.get(_STRANGERS, False) for one in own)


# --- the judges ---------------------------------------------------------------------------------


def _how(own: Sequence[JudgeScores], judge: str) -> str:
    who = _OTHERS if strangers(own) else _UNKNOWN
    kinds = {_VERIFIER if one.verifier else _READER if one.votes else _LOOKS for one in own}
    parts = [words for words in (_VERIFIER, _READER, _LOOKS) if words in kinds]
    return f"{_EVALUATOR}{who}: {'; '.join(parts)}. {_FALSE.format(judge=NAMES[judge])}"


def _voices(own: Iterable[JudgeScores]) -> str:
    """What the judges beside the evaluator add to "all judges agree"."""
    kinds = {"verifier" if one.verifier else "reader" for one in own if one.votes}
    accepts, nearer = "the verifier accepts the image", "nobody is nearer by parameters"
    if len(kinds) == 2:
        return f", {accepts}, and {nearer}"
    return "".join(f" and {accepts if kind == 'verifier' else nearer}" for kind in kinds)


def _quality(own: Iterable[JudgeScores]) -> list[str]:
    """What each judge says of real private images, a line each."""
    return [
        f"**{_title(one)}**, learnt from "
        f"{escaped(one.learnt_from)}. Of {one.n_test} real test images, everybody counted once, "
        f"{_of_real(one)}"
        for one in own
    ]


def _title(judge: JudgeScores) -> str:
    if judge.verifier is not None:
        return "Verifier"
    return "Reader of parameters" if judge.votes else "Reader of attributes"


def _of_real(judge: JudgeScores) -> str:
    if judge.verifier is not None:
        one = judge.verifier
        return (
            f"it takes {percent(one.true_accepts, 1)} for their person, and "
            f"{percent(one.false_accepts, 1)} for any other; the nearest template is right for "
            f"{percent(one.aa1, 1)}. Of images of nobody it accepts "
            f"{percent(one.blanks_accepted, 1)}."
        )
    assert judge.identity is not None
    near = judge.identity.distance
    return (
        f"{percent(judge.identity.aa1, 1)} are nearest to their person: {plain(near.attacked)} "
        f"deviations away, {plain(near.others)} from others."
    )


# --- what they say ------------------------------------------------------------------------------


def _table(found: Findings, asked: Iterable[Cell], judge: str) -> Table:
    doubted = found.judged_in_doubt
    lines = [
        Line((_head(found, one), *_numbers(one.rows, judge, (one.attack, one.defense) in doubted)))
        for one in asked
    ]
    every = [*lines, *_floor(found, judge), *_ceiling(found, judge)]
    if any(_mean(one.rows, "judges.second_aa1") is not None for one in asked):
        return table("pr", _HEADS, every)
    column = _HEADS.index(_SECOND)  # nobody was asked
    narrow = [Line((*one.cells[:column], *one.cells[column + 1 :]), one.kind) for one in every]
    return table("pr", (*_HEADS[:column], *_HEADS[column + 1 :]), narrow)


def _head(found: Findings, one: Cell) -> str:
    mark = found.marks.behind(one.attack, one.defense)
    return f"{names.attack(one.attack)}{mark} on {names.defense(one.defense)}"


def _numbers(rows: Sequence[AttackScores], judge: str, doubted: bool = False) -> tuple[str, ...]:
    """AA-1 ... false negatives of rows, one of each seed."""
    disagreement = f"judges.disagreement.{judge}"
    plainly = ("judges.verifier.accepted", "judges.verifier.aa1", "judges.identity.aa1")
    return (
        rate(_mean(rows, "aa1"), 1),
        rate(_mean(rows, "judges.second_aa1"), 1),
        measured(rows, "judges.agree").words() + stars.JUDGES * doubted,
        measured(rows, f"{disagreement}.false_positive_share").words(),
        *(rate(_mean(rows, path), 1) for path in plainly),
        _distance(*(_mean(rows, f"judges.identity.distance.{of}") for of in _DISTANCES)),
        measured(rows, f"{disagreement}.false_negative_share").words(),
    )


def _second_of_real(found: Findings) -> float | None:
    """AA-1 of real test images by the second evaluators that attack runs name."""
    rows = dict.fromkeys(
        Path(block["second_evaluator"]).parent.name
        for block in found.params["attack_runs"].values()
        if "second_evaluator" in block
    )
    known = found.inputs.evaluators
    return mean_of([known[row].ceiling.aa1 for row in rows if row in known])


def _mean(rows: Iterable[AttackScores], path: str) -> float | None:
    return mean_of([at(row, path) for row in rows])


def _distance(attacked: float | None, others: float | None) -> str:
    return "–" if attacked is None else f"{plain(attacked)} ({plain(others)})"


def _floor(found: Findings, judge: str) -> list[Line]:
    """Random latents of the study's first data, where judges were asked about them."""
    floor = [found.inputs.attack_runs[row] for row in Groups.of(found.params).floor]
    rows = [one for one in floor if one.judges is not None]
    head = "floor: random latents"
    return [Line((head, *_numbers(rows, judge)), "reference")] if rows else []


def _ceiling(found: Findings, judge: str) -> list[Line]:
    """Real test images, by the study's first judges."""
    own = [found.inputs.judges[row] for row in named(found)]
    against = next((one for one in own if bool(one.verifier) == (judge == "verifier")), None)
    verifier = next((one.verifier for one in own if one.verifier), None)
    identity = next((one.identity for one in own if one.identity), None)
    distance = identity.distance if identity else None
    real = agreed_on_real(found.params, found.inputs.attack_runs)
    numbers = (
        rate(found.metrics["references"]["ceiling"]["aa1"], 1),
        rate(_second_of_real(found), 1),
        real.words() if real else "–",
        rate(refused(against) if against else None, 1),
        rate(verifier.true_accepts if verifier else None, 1),
        rate(verifier.aa1 if verifier else None, 1),
        rate(identity.aa1 if identity else None, 1),
        _distance(distance.attacked, distance.others) if distance else "–",
        "–",
    )
    return [Line(("ceiling: real test images", *numbers), "reference")]
