"""Grids of images that trainings and attacks left as tensors: only the report draws them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from trapmid import checkpoints, results
from trapmid.report import pictures

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


def cell(
    private: Mapping[str, Tensor],
    made: Mapping[str, Any],
    scores: Mapping[str, Any],
    hit: Tensor,
    identities: int,
) -> bytes:
    """A PNG: private images beside the reconstructions of one cell.

    Args:
        private: content of private.pt.
        made: content of the cell's reconstructions.
        scores: the cell's scores.
        hit: (N,) bool, whether the evaluator recognises the attacked class.
        identities: how many people, at most.
    """
    return pictures.private_vs_reconstructed(
        private=private["train_images"],
        private_labels=private["train_labels"],
        images=made["images"],
        labels=made["labels"],
        hit=hit,
        found=made["found"],
        identities=identities,
        title=title(scores),
    )


def title(scores: Mapping[str, Any]) -> str:
    """One line for a cell's picture."""
    distance = "–" if scores["knn_dist"] is None else f"{scores['knn_dist']:.1f}"
    return (
        f"{scores['attack']} on {scores['target']} (seed {scores['seed']}): "
        f"AA-1 {scores['aa1']:.1%}, AA-5 {scores['aa5']:.1%}, KNN {distance}"
    )
