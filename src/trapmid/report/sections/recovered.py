"""What attacks made, and how everything was trained, in pictures."""

from __future__ import annotations

from trapmid.config.evaluation import FLOOR
from trapmid.report import names
from trapmid.report.blocks import Block, Fold, Picture, Pictures, Section, folded
from trapmid.report.findings import Findings
from trapmid.report.groups import families, family_in_words, side_by_side
from trapmid.report.markdown import escaped
from trapmid.report.words import percent

KINDS = {
    "evaluators": "evaluator",
    "pretrained": "pretrained network",
    "targets": "target",
    "public_priors": "public prior",
    "surrogates": "surrogate",
    "guided_priors": "guided prior",
    "trained_judges": "judge",
    "attack_runs": "attack",
}
"""What a row of each section of `results.TRAINED` is."""

_PEOPLE = (
    "How to read it: each row is one person, with the name that the list of people who leak most "
    "has; private images on the left, then up to two reconstructions per defence; an empty place "
    "has none. A solid blue frame and "
    "a tick mean that the evaluator recognises the person; a dashed orange frame and a cross, that "
    "it does not. A frame is the evaluator's opinion: look yourself whether it is the person. The "
    "first people are shown, none picked by result."
)
_SINGLE = (
    "Up to five draws of each of the first people, one picture per attack run, are in the folder "
    "`reports/figures/attack_runs`."
)


def recovered(found: Findings) -> Section:
    """Per attack the same people under every defence."""
    made: list[Block] = [_PEOPLE]
    for attack in found.metrics["attacks"]:
        if shown := _compared(found, attack):
            made += [f"### {escaped(names.attack(attack))}", shown]
    if floor := _compared(found, FLOOR):
        made.append(Fold("The floor: random latents, no target is asked", [floor]))
    return Section("What the attacks recover", [*made, _SINGLE])


def _compared(found: Findings, attack: str) -> Pictures | None:
    """The picture of an attack, with AA-1 of every defence in it; None: there is none."""
    path = f"figures/comparison/{attack}.png"
    compared = side_by_side(found.params).get(attack)
    if path not in found.pictures or compared is None:
        return None
    marks = found.marks.among([(attack, defense) for defense in compared.by_defense])
    first = {defense: found.inputs.attack_runs[row] for defense, row in compared.by_defense.items()}
    # Random latents ask no target, so theirs is no rate of a defence
    rates = "; ".join(
        f"{names.defense(defense)} " * (attack != FLOOR)
        + percent(scores.aa1, 1)
        + marks.behind(attack, defense)
        for defense, scores in first.items()
    )
    runs = found.params["attack_runs"]
    seeds = ", ".join(str(runs[row]["seed"]) for row in compared.by_defense.values())
    which = (
        f"of each its lowest seed: {seeds}" if compared.seed is None else f"seed {compared.seed}"
    )
    gloss = f" ({names.gloss(attack)})" if names.gloss(attack) else ""
    words = f"{names.attack(attack)}{gloss}, {which}. AA-1: {rates}.{found.about_marks(marks)}"
    return Pictures([Picture(path, words, f"Private images and their reconstructions. {words}")])


def curves(found: Findings) -> list[Block]:
    """Per kind of training: the curves, and what the first seed's prior draws at the end."""
    groups = {title: _trained(found, section) for section, title in KINDS.items()}
    folds = [folded(title, pictures, 2) for title, pictures in groups.items() if pictures]
    return ["### Training curves", *folds]


def _trained(found: Findings, section: str) -> list[Picture]:
    pictures = []
    for family, rows in families(found.params[section], found.inputs.histories[section]).items():
        row = next(iter(rows.values()))
        title = family_in_words(found.params, section, family, row)
        words = f"Curves of the {KINDS[section]} {title}, by its steps"
        pictures.append(Picture(f"figures/training/{section}/{family}.png", title, words))
        samples = f"figures/samples/{section}/{row}/samples.png"
        if samples in found.pictures:
            pictures.append(Picture(samples, f"{row}: samples of the trained prior"))
    return pictures
