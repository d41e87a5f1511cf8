"""Grids of images that trainings and attacks left as tensors: only the report draws them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from trapmid.artifacts import checkpoints, results
from trapmid.report import pictures
from trapmid.report.comparison import Made, compare
from trapmid.report.summary import side_by_side
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
    """PNG by path under reports/: one per cell, and per attack what it made of the first seed.

    Args:
        params: params.yaml.
        root: its folder, in which data/ is.
        scores: scores by cell.
        hits: by cell, (N,) bool: whether the evaluator recognises the attacked class.
    """
    private = {
        name: checkpoints.load(root / f"data/prepared/{name}/private.pt") for name in params["data"]
    }
    made = {
        cell: checkpoints.load(root / f"data/reconstructions/{cell}.pt") for cell in params["cells"]
    }
    people = params["evaluation"]["grid_identities"]
    drawn = {
        f"figures/cells/{cell}.png": _cell(
            private[row["data"]], made[cell], hits[cell], people, title(scores[cell])
        )
        for cell, row in params["cells"].items()
    }
    for attack, cells in side_by_side(params).items():
        real = private[cells.data]
        by_defense = {
            defense: Made(
                made[cell]["images"], made[cell]["labels"], hits[cell], made[cell]["found"]
            )
            for defense, cell in cells.by_defense.items()
        }
        drawn[f"figures/comparison/{attack}.png"] = compare(
            attack, real["train_images"], real["train_labels"], by_defense, people
        )
    return drawn


def _cell(
    private: Mapping[str, Tensor], made: Mapping[str, Any], hit: Tensor, people: int, words: str
) -> bytes:
    """Private images beside the reconstructions of one cell."""
    return pictures.private_vs_reconstructed(
        private=private["train_images"],
        private_labels=private["train_labels"],
        images=made["images"],
        labels=made["labels"],
        hit=hit,
        found=made["found"],
        identities=people,
        title=words,
    )


def title(scores: AttackScores) -> str:
    """One line for the picture of an attack."""
    distance = "–" if scores.knn_dist is None else f"{scores.knn_dist:.1f}"
    return (
        f"{scores.attack} on {scores.target} (seed {scores.seed}): "
        f"AA-1 {scores.aa1:.1%}, AA-5 {scores.aa5:.1%}, KNN {distance}"
    )
