"""Grids of images that trainings and attacks left as tensors: only the report draws them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from trapmid.artifacts import checkpoints, results
from trapmid.config.evaluation import FLOOR
from trapmid.report import names, pictures
from trapmid.report.comparison import Made, compare
from trapmid.report.groups import side_by_side
from trapmid.report.people import names_in
from trapmid.scoring.scores import AttackScores

_TITLES = {"samples": "random samples"}


def samples(params: Mapping[str, Any], root: Path) -> dict[str, bytes]:
    """PNG by path under reports/: what the rows of `results.TRAINED` left in their samples.pt."""
    drawn = {}
    for section in results.TRAINED:
        for row in params[section]:
            file = results.training_folder(root, section, row) / "samples.pt"
            content = checkpoints.load(file) if file.exists() else {}
            folder = results.samples_folder(Path(), section, row).relative_to("reports")
            for name, grid in content.items():
                title = f"{row}: {_TITLES.get(name, name)}"
                picture = pictures.image_grid([list(line) for line in grid], title=title)
                drawn[(folder / f"{name}.png").as_posix()] = picture
    return drawn


def reconstructions(
    params: Mapping[str, Any],
    root: Path,
    scores: Mapping[str, AttackScores],
    hits: Mapping[str, Tensor],
) -> dict[str, bytes]:
    """PNG by path under reports/: one per attack run, and per attack one of all defences.

    See `groups.side_by_side`.

    Args:
        params: params.yaml.
        root: its folder, in which data/ is.
        scores: scores by attack run.
        hits: by attack run, (N,) bool: whether the evaluator recognises the attacked class.
    """
    private = {
        name: checkpoints.load(root / f"data/prepared/{name}/private.pt") for name in params["data"]
    }
    called = {name: names_in(root, name) for name in params["data"]}
    made = {
        row: checkpoints.load(root / f"data/reconstructions/{row}.pt")
        for row in params["attack_runs"]
    }
    people = params["evaluation"]["grid_identities"]
    drawn = {
        f"figures/attack_runs/{row}.png": _grid(
            private[block["data"]],
            made[row],
            hits[row],
            called[block["data"]],
            people,
            title(scores[row]),
        )
        for row, block in params["attack_runs"].items()
    }
    for attack, compared in side_by_side(params).items():
        real = private[compared.data]
        by_defense = {
            _column(attack, defense): _made(made[row], hits[row])
            for defense, row in compared.by_defense.items()
        }
        drawn[f"figures/comparison/{attack}.png"] = compare(
            names.attack(attack),
            real["train_images"],
            real["train_labels"],
            by_defense,
            called[compared.data],
            people,
        )
    return drawn


def _column(attack: str, defense: str) -> str:
    """What stands over the images of a defence; random latents ask no target."""
    return "random latents" if attack == FLOOR else names.defense(defense)


def _made(content: Mapping[str, Any], hit: Tensor) -> Made:
    return Made(content["images"], content["labels"], hit, content["found"])


def _grid(
    private: Mapping[str, Tensor],
    made: Mapping[str, Any],
    hit: Tensor,
    called: Mapping[int, str],
    people: int,
    words: str,
) -> bytes:
    """Private images beside the reconstructions of one attack run."""
    return pictures.private_vs_reconstructed(
        private=private["train_images"],
        private_labels=private["train_labels"],
        images=made["images"],
        labels=made["labels"],
        hit=hit,
        found=made["found"],
        names=called,
        identities=people,
        title=words,
    )


def title(scores: AttackScores) -> str:
    """One line for the picture of an attack."""
    distance = "–" if scores.knn_dist is None else f"{scores.knn_dist:.1f}"
    return (
        f"{names.attack(scores.attack)} on {names.defense(scores.defense)} (seed {scores.seed}): "
        f"AA-1 {scores.aa1:.1%}, AA-5 {scores.aa5:.1%}, KNN {distance}"
    )
