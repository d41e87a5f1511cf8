"""What defences and attacks cost: accuracy, time, memory, queries, and how the trainings went."""

from __future__ import annotations

from trapmid.report.blocks import Block, Section, Table
from trapmid.report.findings import Findings
from trapmid.report.sections import attackers, recovered, study, targets

_ATTACKS = (
    "Seconds of one attack on one target, a mean over its rows. A surrogate that two attacks ask "
    "is added to the time of both. The public prior and the estimate of signatures are left out."
)
_COUNTS = (
    "Coverage is the share of attempted images that the attack has an answer to; the others are "
    "misses. Left out are the images of whole classes that an untargeted attack does not attempt. "
    "Means over seeds."
)


def costs(found: Findings) -> Section:
    """The defences, the targets, the attacks, and every training."""
    blocks: list[Block] = [
        *targets.defenses(found),
        *targets.targets(found),
        *("### What an attack costs", _ATTACKS, attackers.costs(found.inputs)),
        *_unless_empty(attackers.counts(found), "### What was counted", _COUNTS),
        *_unless_empty(attackers.stand_ins(found), "### What stood in for a target"),
        *study.costs(found),
        *recovered.curves(found),
    ]
    return Section("Costs", blocks)


def _unless_empty(found: Table, *texts: str) -> list[Block]:
    return [] if found.frame.empty else [*texts, found]
