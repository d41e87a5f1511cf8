"""Grids of images that trainings and attacks left as tensors: only the report draws them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from trapmid.artifacts import checkpoints, results
from trapmid.config.evaluation import FLOOR
from trapmid.report import names, pictures
from trapmid.report.comparison import Made, compare, people_in
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
    scored: Mapping[str, Mapping[str, Any]],
) -> dict[str, bytes]:
    """PNG by path under reports/: one per attack run, and per attack one of all defences.

    See `groups.side_by_side`. The images of one attack run are in memory at a time: they may be
    30 GB.

    Args:
        params: params.yaml.
        root: its folder, in which data/ is.
        scores: scores by attack run.
        scored: by attack run, the content of its file under data/scored: `labels` (N,) int64 are
            the attacked classes, `hit` (N,) bool says whether the evaluator recognises them.
    """
    private = {
        name: checkpoints.load(root / f"data/prepared/{name}/private.pt") for name in params["data"]
    }
    called = {name: names_in(root, name) for name in params["data"]}
    people, pairs = params["evaluation"]["grid_identities"], side_by_side(params)
    columns = {attack: _columns(attack, one.by_defense) for attack, one in pairs.items()}
    shown: dict[str, list[int]] = {}  # of an attack run in a comparison, the people who are in it
    for by_name in columns.values():
        rows = by_name.values()
        shown |= dict.fromkeys(rows, people_in([scored[row]["labels"] for row in rows], people))
    drawn: dict[str, bytes] = {}
    kept: dict[str, Made] = {}
    for row, block in params["attack_runs"].items():
        made, hit = checkpoints.load(root / f"data/reconstructions/{row}.pt"), scored[row]["hit"]
        drawn[f"figures/attack_runs/{row}.png"] = _grid(
            private[block["data"]], made, hit, called[block["data"]], people, title(scores[row])
        )
        if row in shown:
            kept[row] = _made(made, hit).only(shown[row])
        del made  # or it were in memory while the next is read
    for attack, compared in pairs.items():
        real = private[compared.data]
        drawn[f"figures/comparison/{attack}.png"] = compare(
            names.attack(attack),
            real["train_images"],
            real["train_labels"],
            {name: kept[row] for name, row in columns[attack].items()},
            called[compared.data],
            people,
        )
    return drawn


def _columns(attack: str, by_defense: Mapping[str, str]) -> dict[str, str]:
    """The attack runs by what stands over their images; random latents ask no target."""
    return {
        "random latents" if attack == FLOOR else names.defense(defense): row
        for defense, row in by_defense.items()
    }


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
