"""Trapdoors: whether attacks fell into them, how they look, and what the theory says of them."""

from __future__ import annotations

from collections.abc import Mapping

from trapmid.metrics.theory import Theory
from trapmid.report import names
from trapmid.report.blocks import Block, Line, Picture, Pictures, Section, folded, table
from trapmid.report.findings import Findings
from trapmid.report.groups import in_words
from trapmid.report.groups import label as label_of
from trapmid.report.words import percent, plain, spread

_CAPTIONS = {
    "triggers.png": "triggers k_y of the first classes",
    "poisoned.png": "private images with a trigger, blended at ten times alpha, at most 1",
}

_COLUMNS = {
    "delta": "δ: worst class",
    "delta_mean": "δ: mean",
    "naturalness_classifier": "ε: classifier",
    "naturalness_gaussian": "ε: Gaussian",
    "margin": "δ − ε",
    "log_posterior_benign": "log p(y|benign)",
    "log_posterior_poisoned": "log p(y|poisoned)",
    "bound": "Its bound",
}
"""The theory's numbers and their column heads; a margin and a bound are the classifier's."""

_PROMISE = """\
The paper's section 3.4 says why a trigger attracts an attack. δ (Definition 1) is how much \
surer the target is of poisoned test images than of benign ones: the difference of their mean \
log p(y|image), in the class where it is least. ε (Definition 2) is how far poisoned images \
diverge from benign ones, KL(benign ‖ poisoned). Theorem 1 then promises that poisoned images \
are more probable answers of an attack than benign ones by δ − ε, so it promises something only \
where that is above zero. A target that is sure of its benign images leaves no room for δ above \
zero: a trapdoor may work and have a negative margin."""

_DOUBT = """\
Read ε with care. The classifier's estimate is a lower bound that cannot exceed the log of the \
number of images, so margin and bound are optimistic; the Gaussian one is no bound at all; the \
true divergence of images with an invisible trigger may be infinite. “Holds” compares the \
measured log p(y|poisoned) with the bound; with δ of the worst class and ε not below zero it is \
nearly true by construction, and no evidence for the defence."""

_SIGNATURES = """\
Each image's cosine with the trapdoor's signature of the class that the target gives it. \
Reconstructions right of the threshold carry the trigger. What counts for a defender is how far \
they stand from public images, not only from private ones. Shown is the strongest attack on each \
defence, first seed; the others are folded."""


def signatures(found: Findings) -> Section:
    """The cosines of reconstructions with the trapdoor's signature."""
    return Section("Did the attack recover the trigger instead of the person?", _signatures(found))


def trapdoors(found: Findings) -> Section:
    """Triggers, and the numbers of section 3.4."""
    return Section("Trapdoors", [*_triggers(found), *_theory(found)])


def _triggers(found: Findings) -> list[Block]:
    first: list[Picture] = []
    more: list[Picture] = []
    for row, block in found.params["targets"].items():
        for name, words in _CAPTIONS.items():
            path = f"figures/samples/targets/{row}/{name}"
            if path in found.pictures:
                place = first if block["seed"] == found.seeds[0] else more
                label = names.defense(label_of(found.params, block))
                place.append(Picture(path, f"{label}, seed {block['seed']}: {words}"))
    if not first and not more:
        return ["No target of this study has a trapdoor."]
    return _two_parts(first, "Other seeds", more, 2)


def _two_parts(first: list[Picture], title: str, more: list[Picture], width: int) -> list[Block]:
    """A few pictures, and the others behind a click."""
    seen: list[Block] = [Pictures(first, width)] if first else []
    return seen + ([folded(title, more, width)] if more else [])


def _theory(found: Findings) -> list[Block]:
    lines = [
        line for defense, rows in found.targets.items() for line in _lines(found, defense, rows)
    ]
    if not lines:
        return []
    heads = ("Defence", "Seed", *_COLUMNS.values(), "Holds")
    return ["### Effectiveness and naturalness", _PROMISE, table("llr", heads, lines), _DOUBT]


def _lines(found: Findings, defense: str, rows: list[str]) -> list[Line]:
    """The numbers of one defence: the seed's, or a mean and those of every seed."""
    theories = {
        seed: found.inputs.targets[row].theory
        for row, seed in zip(rows, found.seeds_of("targets", rows), strict=True)
    }
    measured = {seed: one for seed, one in theories.items() if one is not None}
    own = {seed: (*_numbers(one), "yes" if one.holds else "no") for seed, one in measured.items()}
    if len(own) < 2:
        return [Line((names.defense(defense), seed, *entries)) for seed, entries in own.items()]
    return [
        _mean(defense, measured),
        *(Line(("", seed, *entries)) for seed, entries in own.items()),
    ]


def _numbers(theory: Theory) -> list[str]:
    return [plain(getattr(theory, name)) for name in _COLUMNS]


def _mean(defense: str, measured: Mapping[str, Theory]) -> Line:
    every = list(measured.values())
    shown = [spread([getattr(one, name) for one in every], plain) for name in _COLUMNS]
    held = f"{sum(one.holds for one in every)} of {len(every)}"
    return Line((names.defense(defense), f"mean of {len(every)}", *shown, held), "mean")


def _signatures(found: Findings) -> list[Block]:
    first: list[Picture] = []
    more: list[Picture] = []
    for attack_run, verdict in found.inputs.detections().items():
        numbers = f"recall {percent(verdict.recall, 1)}, ROC AUC {verdict.auc:.3f}"
        words = f"{in_words(found.params, attack_run)}: {numbers}"
        block = found.params["attack_runs"][attack_run]
        # A study of many attacks has dozens: the one that got most stands open.
        worst = found.metrics["worst"][found.defense_of(attack_run)]["attack"]
        seen = block["attack"] == worst and block["seed"] == found.seeds[0]
        (first if seen else more).append(Picture(f"figures/signatures/{attack_run}.png", words))
    if not first and not more:
        return []
    return [_SIGNATURES, *_two_parts(first, "Other attacks and seeds", more, 2)]
