"""What attacks made, and how everything was trained, in pictures."""

from __future__ import annotations

from trapmid.report.blocks import Block, Fold, Picture, Pictures, Section, folded
from trapmid.report.findings import Findings
from trapmid.report.groups import FLOOR, families
from trapmid.report.markdown import escaped
from trapmid.report.words import percent

KINDS = {
    "evaluators": "evaluator",
    "pretrained": "pretrained network",
    "targets": "target",
    "public_priors": "public prior",
    "surrogates": "surrogate",
    "guided_priors": "guided prior",
    "attack_runs": "attack",
}
"""What a row of each section of `results.TRAINED` is."""

_OPENED = 2  # kinds of training whose curves are seen at once

_PEOPLE = (
    "Private images of a person stand beside the reconstructions of that person. The first "
    "identities are shown, none picked by result."
)


def recovered(found: Findings) -> Section:
    """Per attack the same people under every defence, then every attack run by itself."""
    made: list[Block] = [_PEOPLE]
    for attack in [*found.metrics["attacks"], FLOOR]:
        attack_runs = [
            row for row, b in found.params["attack_runs"].items() if b["attack"] == attack
        ]
        if attack_runs:
            made += _of_attack(found, attack, attack_runs)
    return Section("What the attacks recover", made)


def _of_attack(found: Findings, attack: str, attack_runs: list[str]) -> list[Block]:
    by_seed: dict[int, list[Picture]] = {}
    for row in attack_runs:
        words = f"{found.defense_of(row)}: AA-1 {percent(found.inputs.attack_runs[row].aa1)}"
        picture = Picture(f"figures/attack_runs/{row}.png", words)
        by_seed.setdefault(found.params["attack_runs"][row]["seed"], []).append(picture)
    path = f"figures/comparison/{attack}.png"
    words = f"{attack}, seed {min(by_seed)}: the same people under every defence"
    compared = [Pictures([Picture(path, words)])] if path in found.pictures else []
    title = "Every run by itself" + (f", {len(by_seed)} seeds" if len(by_seed) > 1 else "")
    single = [Pictures(by_seed[seed], 3) for seed in sorted(by_seed)]
    head = f"### {escaped(attack)}" + ": the floor, no target is asked" * (attack == FLOOR)
    return [head, *compared, Fold(title, single, opened=not compared)]


def curves(found: Findings) -> Section:
    """Per kind of training: the curves, and what the first seed's prior draws at the end."""
    groups = {title: _trained(found, section) for section, title in KINDS.items()}
    shown = [(title, pictures) for title, pictures in groups.items() if pictures]
    folds = [
        folded(title, pictures, 2, opened=place < _OPENED)
        for place, (title, pictures) in enumerate(shown)
    ]
    return Section("Training curves", folds)


def _trained(found: Findings, section: str) -> list[Picture]:
    pictures = []
    for family, rows in families(found.params[section], found.inputs.histories[section]).items():
        pictures.append(Picture(f"figures/training/{section}/{family}.png", family))
        row = next(iter(rows.values()))
        samples = f"figures/samples/{section}/{row}/samples.png"
        if samples in found.pictures:
            pictures.append(Picture(samples, f"{row}: samples of the trained prior"))
    return pictures
