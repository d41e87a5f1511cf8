"""Hours of one GPU for each of the paper's tables, from the throughputs that were measured on it.

    python benchmarks/gpu_hours.py [benchmarks/results/<date>-<device>.json]

Epochs and steps are those of profiles/paper.yaml; one epoch, iteration or step costs what the file
of results says. A defence whose training was not timed counts as none, and one that plants
triggers as Trap-MID. PLG-MI+ and ++ count as PLG-MI. Every study has random latents beside its
attacks: GMI's prior, and one target without a defence. What nobody timed is open: evaluators,
LOMMA's students, BREP-MI, IR-50 and IR-152. So the hours are a lower bound.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from trapmid.planning.card import Card

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "benchmarks/results/2026-11-27-nvidia-h100-80gb-hbm3.json"
PEOPLE, IMAGES_EACH = 1000, 5
ONE_EACH = ("kedmi", "lomma_kedmi")  # one search a person, from which all images are drawn

FIVE = ("none", "mid", "bido", "negls", "trapmid")
PLANTED = ("trapmid", "trapmid_negls", "variant")  # a variant of Trap-MID
EPOCHS = {"negls": "negls", "trapmid_negls": "negls", "bido": "adam"}  # else `target`
PRIORS = {"plgmi": "plgmi", "kedmi": "kedmi", "lomma_kedmi": "kedmi"}  # learnt of every target

SHARED = {"lomma_kedmi": "kedmi"}  # searches the prior that the other attack on a target has


class Runs(NamedTuple):
    """Rows of a profile: so many targets of each defence, each attacked by each attack."""

    targets: Mapping[str, int]
    attacks: Sequence[str]
    trained: bool = True  # False: another line of the same table trains these targets


def each(seeds: int, *defenses: str) -> dict[str, int]:
    return dict.fromkeys(defenses, seeds)


_STARRED = {**each(1, *FIVE), "trapmid": 5}
TABLES: dict[str, list[Runs]] = {
    "1": [Runs(each(5, *FIVE), ("gmi", "kedmi", "plgmi"))],
    "2": [Runs(each(5, *FIVE), ("lomma_gmi", "lomma_kedmi"))],
    "4": [Runs(each(5, "trapmid"), ("plgmi", "plgmi", "plgmi", "plgmi"))],  # two sets, with ++
    "6": [Runs({"variant": 2, "trapmid": 1}, ("plgmi",))],
    "7": [Runs({"variant": 3, "trapmid": 1}, ("plgmi",))],
    "8": [Runs({"none": 1, "variant": 3, "trapmid": 1}, ("plgmi",))],
    "14": [Runs(_STARRED, ("plgmi",))],
    "15": [
        Runs(_STARRED, ("plgmi",)),
        Runs(each(5, "trapmid"), ("plgmi", "plgmi"), trained=False),
    ],
    "17": [
        Runs(
            each(5, "trapmid", "trapmid_negls"),
            ("gmi", "kedmi", "plgmi", "lomma_gmi", "lomma_kedmi"),
        )
    ],
}


class Costs:
    """Seconds of everything that a table is made of.

    Args:
        card: what was measured on it; `trapmid plan --card` counts with the same numbers.
        profile: profiles/paper.yaml.
    """

    def __init__(self, card: Card, profile: Mapping[str, Any]) -> None:
        self._card, self._profile = card, profile
        self.iteration = card.iteration
        self.of_image = card.of_image

    def epoch(self, defense: str) -> float:
        """One epoch of VGG16 on 27,000 images."""
        return self._card.epoch(planted=defense in PLANTED)

    def target(self, defense: str) -> float:
        """A whole training of the paper's target."""
        plan = self._profile["classifier_training"][EPOCHS.get(defense, "target")]
        return float(plan["epochs"]) * self.epoch(defense)

    def prior(self, method: str) -> float:
        """A whole training of a prior."""
        return float(self._profile["prior_training"][method]["steps"]) * self.iteration(method)

    def search(self, attack: str) -> float:
        """All searches of one target: one for every image, or for every person (`ONE_EACH`)."""
        method = "lomma" if attack.startswith("lomma") else attack
        steps = float(self._profile["attacks"][method]["steps"])
        each = 1 if attack in ONE_EACH else IMAGES_EACH
        return steps * self.of_image(attack) * PEOPLE * each

    def table(self, runs: Sequence[Runs]) -> dict[str, float]:
        """Hours of targets, priors and searches; GMI's public prior is made once."""
        parts = dict.fromkeys(("targets", "priors", "searches"), 0.0)
        parts["priors"] += self.prior("gmi")
        if not any("none" in one.targets for one in runs):
            parts["targets"] += self.target("none")
        for one in runs:
            for defense, count in one.targets.items():
                parts["targets"] += count * self.target(defense) * one.trained
                for attack in one.attacks:
                    if attack in PRIORS and SHARED.get(attack) not in one.attacks:
                        parts["priors"] += count * self.prior(PRIORS[attack])
                    parts["searches"] += count * self.search(attack)
        return {name: seconds / 3600 for name, seconds in parts.items()}


def mid(costs: Costs, profile: Mapping[str, Any], people: int, images: int) -> float:
    """Hours of the profile `celeba_mid`, whose blocks are `profile`, as far as they were timed.

    Five of PLG-MI's priors and searches (four targets, and PLG-MI+ on Trap-MID), four of GMI's.

    Args:
        people: private ones.
        images: their training images.
    """
    plans, steps = profile["classifier_training"], profile["attacks"]
    names = {"none": "target", "none_aug": "target", "trapmid": "target", "negls": "negls"}
    seconds = sum(
        float(plans[plan]["epochs"]) * costs.epoch(name) * images / 27000
        for name, plan in names.items()
    )
    for attack, count in (("gmi", 4), ("plgmi", 5)):
        learnt = 1 if attack == "gmi" else count
        training = float(profile["prior_training"][attack]["steps"]) * costs.iteration(attack)
        searched = float(steps[attack]["steps"]) * costs.of_image(attack) * people * IMAGES_EACH
        seconds += learnt * training + count * searched
    return seconds / 3600


def markdown(costs: Costs) -> str:
    """The table of docs/reproduce.md."""
    lines = ["| table | targets | priors | searches | hours |", "|---|---|---|---|---|"]
    for name, runs in TABLES.items():
        parts = costs.table(runs)
        cells = [f"{value:.1f}" for value in (*parts.values(), sum(parts.values()))]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def load(file: Path = MEASURED) -> Costs:
    """The costs that `file` and profiles/paper.yaml say."""
    profile = yaml.safe_load((ROOT / "profiles/paper.yaml").read_text("utf-8"))
    return Costs(Card.read(file), profile)


if __name__ == "__main__":
    print(markdown(load(*map(Path, sys.argv[1:2]))))
