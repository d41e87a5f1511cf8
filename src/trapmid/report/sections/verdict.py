"""Whether the numbers can be relied on: what comes first, and the table of checks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trapmid.artifacts import results
from trapmid.report.blocks import Block, Line, Note, Section, table
from trapmid.report.findings import CheckLine, Findings
from trapmid.report.inputs import Inputs
from trapmid.report.markdown import anchor, escaped

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
_CHECKS = "Checks"


def front(found: Findings) -> list[Block]:
    """The title and every reason to doubt what follows, the gravest first."""
    count = f"{len(found.seeds)} seed{'s' * (len(found.seeds) != 1)}"
    seeds = ", ".join(map(str, found.seeds))
    return [
        "# Does a trapdoor keep faces private?",
        f"Report of the study **{escaped(found.params['profile'])}**, {count} ({seeds}). Made by "
        "`dvc repro` from the files of its stages.",
        *_verdicts(found.checks),
        *(Note("warning", caution) for caution in cautions(found)),
    ]


def _verdicts(checks: Iterable[CheckLine]) -> list[Note]:
    every = list(checks)
    failed = _failed(every)
    if not failed:
        below = f"They are listed [below](#{anchor(_CHECKS)})."
        return [Note("tip", f"**All {len(every)} validity checks passed.** {below}")]
    notes = []
    if invalid := [check for check in failed if check.invalid]:
        head = (
            f"**{len(invalid)} of {len(every)} validity checks failed, so the study is invalid. "
            "Do not rely on the numbers below before this is understood.**"
        )
        notes.append(Note("caution", _with_list(head, invalid)))
    if weak := [check for check in failed if not check.invalid]:
        head = (
            f"**{len(weak)} of {len(every)} checks failed that make a number weak, not the study "
            "invalid.** Read the numbers that they are about with it in mind."
        )
        notes.append(Note("warning", _with_list(head, weak)))
    return notes


def _failed(checks: Iterable[CheckLine]) -> list[CheckLine]:
    """Those that failed; first those that make the study worthless."""
    return sorted((c for c in checks if not c.passed), key=lambda check: not check.invalid)


def _with_list(head: str, checks: Iterable[CheckLine]) -> str:
    lines = [f"{head}\n"]
    for check in checks:
        detail = f" Found: {escaped(check.detail)}." if check.detail else ""
        lines.append(f"- **{escaped(check.name)}**: should hold: {escaped(check.meaning)}{detail}")
    return "\n".join(lines)


def cautions(found: Findings) -> list[str]:
    """What the study cannot show, however its checks went, as Markdown."""
    origins = _origins(found.params)
    made = [_DRAWN] * ("synthetic" in origins) + [_DIGITS] * ("digits" in origins)
    made += _noisy(found.inputs)
    if len(found.seeds) == 1:
        made.append(_ONE_SEED)
    elif len(found.seeds) < 5:
        made.append(
            f"There are {len(found.seeds)} seeds: read every seed's line, not only the mean."
        )
    return made


def _origins(params: dict[str, Any]) -> set[str]:
    """Who made the private images that a classifier learnt: makers of raw folders, readers."""
    rows = results.TRAINED[: results.TRAINED.index("targets") + 1]
    used = {block["data"] for section in rows for block in params[section].values()}
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


def checks(found: Findings) -> Section:
    """Every check; those that failed first."""
    ordered = [*_failed(found.checks), *(check for check in found.checks if check.passed)]
    lines = [
        Line((check.name, verdict, check.meaning, check.detail), kind)
        for check in ordered
        for verdict, kind in [("passed", "") if check.passed else ("FAILED", "failed")]
    ]
    return Section(_CHECKS, [table("llp", ("Check", "Result", "What must hold", "Found"), lines)])
