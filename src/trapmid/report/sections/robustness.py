"""Adversarial examples: how far a target can be fooled, and whether a trapdoor notices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trapmid.metrics.robustness import Caught, ExampleDetection
from trapmid.report import names, scatter
from trapmid.report.blocks import Block, Line, Picture, Pictures, Section, table
from trapmid.report.findings import Findings
from trapmid.report.words import rate

_CHECK = "attack_strength"

_ABOUT = """\
Robust accuracy is the share of private test images that a target recognises, and still recognises \
after an attack (PGD, 20 steps) changed every pixel by no more than the radius. Pixels go from 0 \
to 1; 0.0039 is one of 255 grey levels. In brackets: the 95 % interval; of two seeds their range. \
It is an upper bound: another attack may find more."""

_STAR = """\
A star behind a defence: the check `attack_strength` failed for a target of it. Its gradients may \
be masked, and its robust accuracy says nothing."""

_HOW = """\
How to read it: a mark is a defence, its lines are its intervals. Up and right: hard to fool, and \
leaks much. Down and left: private, and easy to fool. AT-AT (ICLR 2026) found that targets leak \
more where they are more robust."""

_DETECTION = """\
The trapdoor's signature may also notice adversarial examples (Trap-MID, Figure 3). They are made \
by PGD of private test images, at the paper's two radii; the threshold is that of reconstructions. \
The detection success rate (DSR) is the share of right verdicts on examples and originals, half \
each. “All” counts as the paper does: an image stands as its own example where the target misread \
it before, or could not be fooled. “Changed” has the other images alone. The paper's attack is \
AutoAttack."""

_DETECTED = (
    *("Defence", "Seed", "Radius", "Images", "n", "DSR (%) ↑"),
    *("Detected (%) ↑", "False alarms (%) ↓", "ROC AUC ↑"),
)
_NORMS = {"linf": "L∞", "l2": "L2"}


def robustness(found: Findings) -> Section:
    """Robust accuracy of every defence beside its worst case, and what signatures notice."""
    marks = found.marks.among(found.strongest)
    blocks: list[Block] = [_ABOUT + found.about_marks(marks), _accuracies(found)]
    if _failed(found):
        blocks.append(_STAR)
    if scatter.PATH in found.pictures:
        blocks.append(Pictures([Picture(scatter.PATH, _HOW + found.about_marks(marks))]))
    lines = _detections(found)
    if lines:
        blocks += ["### Does the trapdoor notice?", _DETECTION, table("llllr", _DETECTED, lines)]
    return Section("Robustness to adversarial examples", blocks)


def _accuracies(found: Findings) -> Block:
    targets, worst = found.metrics["targets"], found.metrics["worst"]
    radii = list(dict.fromkeys(r for one in targets.values() for r in one["robust_accuracy"]))
    heads = ("Defence", "Worst AA-1 (%) ↓", "Acc (%) ↑", *(f"at {r} (%) ↑" for r in radii))
    failed = _failed(found)
    lines = [
        Line(
            (
                names.defense(name) + "*" * (name in failed),
                rate(worst[name]["aa1"], 1) + found.marks.behind(worst[name]["attack"], name),
                rate(one["test_accuracy"], 1),
                *(_cell(one["robust_accuracy"], one["intervals"], radius) for radius in radii),
            )
        )
        for name, one in targets.items()
    ]
    return table("lr", heads, lines)


def _cell(
    rates: Mapping[str, float], intervals: Mapping[str, Mapping[str, float]], radius: str
) -> str:
    ends = intervals.get(f"robust_accuracy.{radius}")
    shown = rate(rates.get(radius), 1)
    return shown if ends is None else f"{shown} ({rate(ends['low'], 1)}–{rate(ends['high'], 1)})"


def _failed(found: Findings) -> set[str]:
    """The defences with a target whose robust accuracy is not to be believed."""
    return {
        name
        for name, rows in found.targets.items()
        if any(not found.inputs.targets[row].checks.get(_CHECK, True) for row in rows)
    }


def _detections(found: Findings) -> list[Line]:
    return [
        line
        for name, rows in found.targets.items()
        for row, seed in zip(rows, found.seeds_of("targets", rows), strict=True)
        for one in found.inputs.targets[row].adversarial
        for line in _lines((names.defense(name), seed), one)
    ]


def _lines(who: Sequence[str], one: ExampleDetection) -> list[Line]:
    attack = f"{_NORMS[one.norm]} {one.radius:.4g}"
    parts = {"all": one.every, "changed": one.changed}
    return [
        Line((*who, attack, name, *_numbers(caught)))
        for name, caught in parts.items()
        if caught is not None
    ]


def _numbers(caught: Caught) -> tuple[str, ...]:
    rates = (caught.success_rate, caught.recall, caught.fpr)
    return str(caught.n), *(rate(value, 1) for value in rates), f"{caught.auc:.3f}"
