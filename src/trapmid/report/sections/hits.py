"""What most of the evaluator's hits are, by the judge against whom they are counted, in words.

A judge refuses some real images of a person, too. So hits are called false positives mostly only
where the judge refuses more of them than of real images.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from trapmid.metrics.statistics.comparisons import LEAST_SEEDS
from trapmid.report import names
from trapmid.report.findings import Findings
from trapmid.report.judged import Measured, measured
from trapmid.report.markdown import escaped
from trapmid.report.stars import JUDGES
from trapmid.report.words import percent
from trapmid.report.worst import agreed, most_agreed
from trapmid.scoring.scores import AttackScores, JudgeScores

NAMES = {"verifier": "verifier", "identity": "reader"}
"""What the judges are called against whom the evaluator's errors are counted."""

SECOND = "judges.disagreement.second_evaluator"
"""Where an attack's scores have what the second evaluator says of the evaluator's hits."""

_HALF = 0.5
_STRICT = 0.8  # a judge that takes fewer real images for their person refuses too much
_REFUSED = (
    "Refused is not unlike: a verifier that lets few impostors pass also refuses some images that "
    "are nearer to their person than to anybody else."
)
_FEW = (
    f"With fewer than {LEAST_SEEDS} seeds this is said of the targets that were trained here; of "
    "the defences: cannot tell."
)


class Cell(NamedTuple):
    """What judges say of one attack on one defence."""

    attack: str
    defense: str
    rows: Sequence[AttackScores]  # one of each seed
    false_positives: Measured
    refused: float | None = None  # share of real images that the judge refuses; None: not known

    @property
    def seeds(self) -> int:
        """Of how many of them the evaluator has a hit at all."""
        return sum(one.n_success > 0 for one in self.rows)

    @property
    def limit(self) -> float:
        """What is refused of the hits above a half, and above what is refused of real images."""
        return max(_HALF, self.refused or 0.0)

    @property
    def kind(self) -> str:
        """What most of the evaluator's hits are, where the interval says it."""
        ends = self.false_positives.ends
        if ends is not None and ends[0] > self.limit:
            return "false"
        return "true" if ends is not None and ends[1] < _HALF else "unknown"


def judge_of(found: Findings) -> str:
    """Against whom the evaluator's errors are counted: the verifier, if there is one."""
    asked = {
        name
        for scores in found.inputs.attack_runs.values()
        if scores.judges is not None
        for name in scores.judges.disagreement
    }
    return next((name for name in NAMES if name in asked), "")


def named(found: Findings) -> list[str]:
    """The judges that attack runs name, verifiers first."""
    rows = [
        Path(block[key]).stem
        for key in ("verifier", "identity")
        for block in found.params["attack_runs"].values()
    ]
    return [row for row in dict.fromkeys(rows) if row in found.inputs.judges]


def cells(found: Findings) -> list[Cell]:
    """Every attack on every defence that judges were asked about, without the floor."""
    judge, made = judge_of(found), []
    for attack, groups in found.metrics["attacks"].items():
        for defense in groups:
            rows = [found.inputs.attack_runs[row] for row in found.attack_runs[attack, defense]]
            if any(one.judges is not None for one in rows):
                share = measured(rows, f"judges.disagreement.{judge}.false_positive_share")
                refused = _refused_by(found, [one.row for one in rows], judge)
                made.append(Cell(attack, defense, rows, share, refused))
    return made


def _refused_by(found: Findings, rows: Iterable[str], judge: str) -> float | None:
    """The share of real images that the judge of these attack runs refuses; of several the most."""
    blocks = [found.params["attack_runs"][row] for row in rows]
    own = [found.inputs.judges.get(Path(block[judge]).stem) for block in blocks if judge in block]
    return max((share for one in own if one and (share := refused(one)) is not None), default=None)


def refused(judge: JudgeScores) -> float | None:
    """The share of real test images that a judge does not take for their person's."""
    if judge.verifier is not None:
        return 1 - judge.verifier.true_accepts
    return None if judge.identity is None else 1 - judge.identity.aa1


def strict(own: Iterable[JudgeScores]) -> list[str]:
    """A sentence on every judge with a voice that refuses many real images, too."""
    shares = {
        "verifier" if one.verifier else "reader": share
        for one in own
        if one.votes and (share := refused(one)) is not None and 1 - share < _STRICT
    }
    return [
        f"The {name} refuses {percent(share, 0)} of a person's real images, so its refusals "
        "say little."
        for name, share in shares.items()
    ]


def meaning(found: Findings, asked: Sequence[Cell]) -> list[str]:
    """What the numbers say: what all judges grant, and which hits are false positives."""
    judge = judge_of(found)
    own = [found.inputs.judges[row] for row in named(found)]
    lines = [granted(found), *by_kind(asked, judge), *strict(own), second(found, asked)]
    return [line for line in [*lines, _REFUSED * (judge == "verifier")] if line]


def second(found: Findings, asked: Sequence[Cell]) -> str:
    """What another evaluator makes of the evaluator's hits; empty where none was asked."""
    lost = {
        (one.attack, one.defense): measured(one.rows, f"{SECOND}.false_positive_share")
        for one in asked
    }
    there = [
        one._replace(false_positives=lost[one.attack, one.defense])
        for one in asked
        if lost[one.attack, one.defense].value is not None
    ]
    if not there:
        return ""
    return (
        "**The second evaluator**, another network that learnt the same people, does not recognise "
        f"these shares of the evaluator's hits: {_listed(there)}. It shares the evaluator's "
        "weakness, so it has no voice in what all judges agree on."
    )


def by_kind(asked: Sequence[Cell], judge: str) -> list[str]:
    """Which attacks' hits are false positives mostly, which are real, and of which nobody can tell.

    Args:
        asked: attacks on defences.
        judge: of `NAMES`.
    """
    name = NAMES[judge]
    said = {
        "false": f"**Mostly false positives**: the {name} refuses more than half of the "
        "evaluator's hits, and the whole interval lies above a half",
        "true": f"**Mostly real**: the {name} refuses less than half, and the whole interval lies "
        "below it",
        "unknown": "**Cannot tell**: a half lies inside the interval, or there is no interval",
    }
    if any(one.limit > _HALF for one in asked):
        said |= {
            "false": f"**Mostly false positives**: the {name} refuses more of the evaluator's hits "
            "than of real images, and the whole interval lies above that share and above a half",
            "unknown": "**Cannot tell**: the interval lies neither below a half nor above the "
            f"share of real images that the {name} refuses, or there is no interval",
        }
    lines = []
    for kind, words in said.items():
        some = [one for one in asked if one.kind == kind]
        few = kind != "unknown" and any(one.seeds < LEAST_SEEDS for one in some)
        if some:
            lines.append(f"{words}: {_listed(some)}." + f" {_FEW}" * few)
    return lines


def granted(found: Findings) -> str:
    """By defence, the most on which all judges agree, as the first screen has it."""
    parts = []
    for defense in found.metrics["worst"]:
        attack = most_agreed(found.metrics, defense, found.marks.partial_on(defense))
        if attack is not None:
            share = percent(agreed(found.metrics, attack, defense), 1)
            mark = found.marks.behind(attack, defense)
            mark += JUDGES * ((attack, defense) in found.judged_in_doubt)
            parts.append(f"{names.defense(defense)} {share}{mark} ({names.attack(attack)})")
    return f"**All judges agree**, at worst, on: {escaped('; '.join(parts))}." if parts else ""


def _listed(some: Iterable[Cell]) -> str:
    """By attack, the defences with their share of false positives."""
    by_attack: dict[str, list[str]] = {}
    for one in some:
        share = percent(one.false_positives.value, 1)
        by_attack.setdefault(one.attack, []).append(f"{names.defense(one.defense)} {share}")
    return escaped(
        "; ".join(f"{names.attack(a)} on {', '.join(found)}" for a, found in by_attack.items())
    )
