"""Pictures of attack runs: those of all images in memory, drawn with those of one run at a time."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import fake_study
from trapmid.artifacts import checkpoints
from trapmid.report import comparison, grids, leaks, names, pictures

ROWS = ("plgmi-none-0", "plgmi-none_aug-0", "plgmi-trapmid-0", "plgmi-none-1", "random-none-0")
PEOPLE = {
    "plgmi-none-0": (1, 3, 4, 6),
    "plgmi-none_aug-0": (0, 3, 4, 6, 7),
    "plgmi-trapmid-0": (2, 3, 4, 5, 6),
    "plgmi-none-1": (0, 1),
    "random-none-0": (0, 1, 2, 3),
}
"""Whom each attack met; 3, 4 and 6 under every defence."""
NOBODY_SHARED = PEOPLE | {"plgmi-none-0": (1, 5), "plgmi-trapmid-0": (2,)}

Content = dict[str, Any]


def content(number: int, people: tuple[int, ...]) -> Content:
    """Four tries of everybody, in any order; every fifth was not found."""
    generator = torch.Generator().manual_seed(number)
    labels = torch.tensor(people).repeat(4)
    images = torch.rand(len(labels), 3, 16, 16, generator=generator)
    return {"images": images, "labels": labels, "found": torch.arange(len(labels)) % 5 != number}


def study(people: dict[str, tuple[int, ...]]) -> tuple[Content, dict[str, Content], Content]:
    """params.yaml, what the attacks left by row, and private.pt."""
    params = fake_study.params()
    params["attack_runs"] = {row: params["attack_runs"][row] for row in ROWS}
    params["evaluation"]["grid_identities"] = 2
    made = {row: content(number, people[row]) for number, row in enumerate(ROWS)}
    private = {
        "train_images": torch.rand(24, 3, 16, 16, generator=torch.Generator().manual_seed(9)),
        "train_labels": torch.arange(8).repeat(3),
    }
    return params, made, private


def of_scored(made: dict[str, Content]) -> dict[str, Content]:
    return {
        row: {"labels": one["labels"], "hit": torch.arange(len(one["labels"])) % 2 == 0}
        for row, one in made.items()
    }


def drawn(
    monkeypatch: pytest.MonkeyPatch,
    params: Content,
    made: dict[str, Content],
    private: Content,
    load: Callable[[Path], Content] | None = None,
) -> dict[str, bytes]:
    """What the report draws; `load` reads a file of reconstructions."""

    def loaded(file: Path) -> Content:
        if file.name == "private.pt":
            return private
        return load(file) if load else made[file.stem]

    monkeypatch.setattr(checkpoints, "load", loaded)
    monkeypatch.setattr(grids, "names_in", lambda *_: {3: "Ada"})
    scores = fake_study.scores(params)[2]
    return grids.reconstructions(params, Path(), scores, of_scored(made))


@pytest.mark.slow
@pytest.mark.parametrize("people", [PEOPLE, NOBODY_SHARED])
def test_pictures_are_those_of_all_images_at_once(
    monkeypatch: pytest.MonkeyPatch, people: dict[str, tuple[int, ...]]
) -> None:
    """To the byte: every attack run's own, and the one of a seed that every defence has."""
    params, made, private = study(people)
    found, scored = drawn(monkeypatch, params, made, private), of_scored(made)
    scores = fake_study.scores(params)[2]
    wanted = {
        f"figures/attack_runs/{row}.png": pictures.private_vs_reconstructed(
            private=private["train_images"],
            private_labels=private["train_labels"],
            images=one["images"],
            labels=one["labels"],
            hit=scored[row]["hit"],
            found=one["found"],
            names={3: "Ada"},
            identities=2,
            title=grids.title(scores[row]),
        )
        for row, one in made.items()
    }
    whole = {
        row: comparison.Made(one["images"], one["labels"], scored[row]["hit"], one["found"])
        for row, one in made.items()
    }
    columns = {
        "plgmi": {names.defense(d): whole[f"plgmi-{d}-0"] for d in ("none", "none_aug", "trapmid")},
        "random": {"random latents": whole["random-none-0"]},
    }
    for attack, by_name in columns.items():
        real = private["train_images"], private["train_labels"]
        png = comparison.compare(names.attack(attack), *real, by_name, {3: "Ada"}, 2)
        wanted[f"figures/comparison/{attack}.png"] = png
    assert list(found) == list(wanted)
    assert found == wanted


def test_the_people_of_a_comparison() -> None:
    """The first whom all met, else the first of all; of thirty defences, in six bands, four."""
    met = [torch.tensor(people) for people in ([7, 1, 3, 3], [3, 7, 5], [9, 7, 3])]
    assert comparison.people_in(met, 8) == [3, 7]
    assert comparison.people_in(met, 1) == [3]
    assert comparison.people_in([*met, torch.tensor([2])], 3) == [1, 2, 3]
    assert comparison.people_in([torch.arange(50)] * 30, 8) == [0, 1, 2, 3]


def test_images_of_one_attack_run_are_in_memory_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be 30 GB; torch keeps the array as long as anything looks at a part of it."""
    params, made, private = study(PEOPLE)
    arrays: list[weakref.ref[Any]] = []

    def load(file: Path) -> Content:
        assert all(array() is None for array in arrays), f"{file.stem} is read beside another"
        array = made[file.stem]["images"].numpy().copy()
        arrays.append(weakref.ref(array))
        return made[file.stem] | {"images": torch.from_numpy(array)}

    monkeypatch.setattr(grids.pictures, "image_grid", lambda *_, **__: b"")
    monkeypatch.setattr(comparison, "image_grid", lambda *_, **__: b"")
    drawn(monkeypatch, params, made, private, load)
    assert len(arrays) == len(ROWS)


def test_the_worst_reconstruction_keeps_no_other_in_memory() -> None:
    made = content(0, (0, 1, 2))
    array = made["images"].numpy().copy()
    left, made["images"] = weakref.ref(array), torch.from_numpy(array)
    del array
    scored = {"hit": made["found"], "knn": torch.arange(12.0)}
    leak = leaks.nearest(torch.rand(3, 3, 16, 16), torch.arange(3), made, scored)
    assert leak is not None and left() is not None
    del made["images"]
    assert left() is None
