"""The targets themselves: how well they classify, what a defence costs and what it buys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from trapmid.report import names
from trapmid.report.blocks import Block, Line, Table, table
from trapmid.report.findings import Findings
from trapmid.report.marks import Marks, with_names
from trapmid.report.twins import slowdown
from trapmid.report.words import rate, seconds, spread, within
from trapmid.scoring.scores import EvaluatorScores, TargetScores

_PRETRAINED = "models/pretrained/"

_TARGETS = (
    "Acc is the accuracy on private test images. Trapdoor success is the share of pairs of a test "
    "image and a trigger that the target gives the class of the trigger; that of the image's own "
    "person is among them, so without a trapdoor it is about one in as many as there are "
    "people. A bold line of several seeds shows mean ± population deviation over seeds (s: sample "
    "deviation), and a line per seed follows it. In brackets behind a number of one seed, or of "
    "an evaluator: its 95 % interval."
)
_DEFENSES = (
    "The attack is the strongest one on the defence. The last column divides the training time by "
    "that without a defence, for the same architecture and data (on a CPU the processor's time, "
    "which does not count the waiting beside other programs); a defence's own schedule, such as "
    "fewer epochs, is part of it."
)

_OWN_START = ("weights/random", "weights/torchvision", "weights/timm")
"""Beginnings of an `init` that is another file, or none, for every architecture."""
_NOTES, _EVERY_SEED = "Notes", "AA-1 of every seed (%)"
_RATES = ("test_accuracy", "val_accuracy", "trapdoor_success")


def targets(found: Findings) -> list[Block]:
    """Accuracies of every defence, seed by seed, and of the evaluators."""
    return ["### Targets", _TARGETS, _target_table(found)]


def _target_table(found: Findings) -> Table:
    lines = []
    for defense, rows in found.targets.items():
        scores = [found.inputs.targets[row] for row in rows]
        rates = [_rates(one) for one in scores]
        shown = [spread(column, rate) for column in zip(*rates, strict=True)]
        if len(rows) == 1:
            shown = [
                within(text, _ends(scores[0], n)) for text, n in zip(shown, _RATES, strict=True)
            ]
        seeds = found.seeds_of("targets", rows)
        seed = f"mean of {len(rows)}" if len(rows) > 1 else seeds[0]
        kind = "mean" if len(rows) > 1 else ""
        lines.append(Line((names.defense(defense), seed, *shown), kind))
        if len(rows) > 1:
            own = zip(seeds, rates, strict=True)
            lines += [Line(("", seed, *map(rate, of_seed))) for seed, of_seed in own]
    for row, block in found.params["evaluators"].items():
        judging = found.inputs.evaluators[row]
        accuracy = within(rate(judging.test_accuracy), _ends(judging, _RATES[0]))
        shown = [accuracy, rate(judging.val_accuracy), "–"]
        lines.append(Line((f"evaluator: {row}", str(block["seed"]), *shown), "reference"))
    heads = ("Defence", "Seed", "Acc (%) ↑", "Validation acc (%)", "Trapdoor success (%) ↑")
    return table("llr", heads, lines)


def _rates(scores: TargetScores) -> tuple[float | None, ...]:
    return scores.test_accuracy, scores.val_accuracy, scores.trapdoor_success


def _ends(scores: TargetScores | EvaluatorScores, name: str) -> dict[str, Any] | None:
    """The interval of a rate of one row; it holds for this trained network alone."""
    return asdict(scores.intervals[name]) if name in scores.intervals else None


def defenses(found: Findings) -> list[Block]:
    """One line per defence: what it costs in accuracy and time, and what it buys."""
    heads = (
        *("Defence", _NOTES, "Acc (%) ↑", "Trapdoor success (%) ↑", "Attack", "AA-1 (%) ↓"),
        *(_EVERY_SEED, "Training (s) ↓", "Times no defence ↓"),
    )
    strongest = {(found.metrics["worst"][name]["attack"], name) for name in found.targets}
    marks = found.marks.among(strongest)
    lines = [_defense_line(found, marks, defense, rows) for defense, rows in found.targets.items()]
    shown = table("lpr", heads, lines)
    silent = [_NOTES] if shown.frame[_NOTES].eq("–").all() else []
    if all(len(rows) == 1 for rows in found.targets.values()):
        silent.append(_EVERY_SEED)  # it would repeat the mean
    said = _without(shown, silent)
    return [
        "### What each defence costs and buys",
        _DEFENSES + found.about_star(marks),
        said,
        *marks.notes(),
    ]


def _without(shown: Table, heads: Sequence[str]) -> Table:
    """The table without some columns: what says nothing pushes others off the page."""
    kept = [i for i, head in enumerate(shown.frame.columns) if head not in heads]
    return Table(shown.frame.iloc[:, kept], "".join(shown.columns[i] for i in kept))


def _defense_line(found: Findings, marks: Marks, defense: str, rows: Sequence[str]) -> Line:
    scores = [found.inputs.targets[row] for row in rows]
    attack = found.metrics["worst"][defense]["attack"]
    aa1 = [
        found.inputs.attack_runs[attack_run].aa1
        for attack_run in found.attack_runs.get((attack, defense), [])
    ]
    factor = slowdown(found, defense)
    entries = (
        names.defense(defense),
        _notes(found, rows),
        spread([one.test_accuracy for one in scores], rate),
        spread([one.trapdoor_success for one in scores], rate),
        with_names(names.attack(attack), marks.judges(attack, defense)) if attack else "–",
        spread(aa1, rate) + (marks.behind(attack, defense) if attack else ""),
        ", ".join(map(rate, aa1)) or "–",
        spread(_times(found, rows), seconds),
        "–" if factor is None else f"{factor:.2f}",
    )
    return Line(entries)


def _notes(found: Findings, rows: Sequence[str]) -> str:
    """What the numbers alone do not say: guarantees, noise, and a start that cost time, too."""
    scores = [found.inputs.targets[row] for row in rows]
    notes = []
    for fact in dict.fromkeys(name for one in scores for name in one.facts):
        values = dict.fromkeys(f"{one.facts[fact]:.4g}" for one in scores)
        notes.append(f"{fact.replace('_', ' ')} {', '.join(values)}")
    if any(one.stochastic for one in scores):
        notes.append("draws noise at every forward pass")
    for init in dict.fromkeys(str(found.params["targets"][row]["init"]) for row in rows):
        start = init.removeprefix(_PRETRAINED).split("/")[0]
        if init.startswith(_PRETRAINED) and start in found.inputs.stats["pretrained"]:
            time = seconds(float(found.inputs.stats["pretrained"][start]["seconds"]))
            notes.append(f"starts from {start}, trained in {time} s not counted here")
            notes += _teacher(found, start)
        notes += _shared(found, init)
    return "; ".join(notes) or "–"


def _teacher(found: Findings, start: str) -> Iterator[str]:
    """Who taught a start; the evaluator may know faces from the same recogniser."""
    if (teacher := found.params["pretrained"][start].get("teacher")) is not None:
        said = f"{start} learnt the embedding of {teacher}"
        if any(row["arch"] == f"{teacher}_head" for row in found.params["evaluators"].values()):
            said += ", an ancestor that it shares with the evaluator"
        yield said


def _shared(found: Findings, init: str) -> Iterator[str]:
    """An evaluator that starts from the target's own file sees with some of its eyes."""
    if init.startswith(_OWN_START):
        return
    for name, row in found.params["evaluators"].items():
        if row["init"] == init:
            yield f"starts from {init}, as the evaluator {name} does: an ancestor that both share"


def _times(found: Findings, rows: Sequence[str]) -> list[float | None]:
    return [float(found.inputs.stats["targets"][row]["seconds"]) for row in rows]
