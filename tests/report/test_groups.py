"""Rows that are seeds of one, and the rows of the floor."""

from __future__ import annotations

import pytest

import fake_study
from trapmid.artifacts.results import ResultError
from trapmid.report import groups


def test_families():
    rows = {"a-0": 0, "b-0": 0, "a-10": 10, "evaluator": 1000, "c-1": 0}
    blocks = {row: {"seed": seed} for row, seed in rows.items()}
    assert groups.families(blocks, blocks) == {
        "a": {"0": "a-0", "10": "a-10"},
        "b": {"0": "b-0"},
        "evaluator": {"1000": "evaluator"},
        "c-1": {"0": "c-1"},
    }
    assert groups.families(blocks, ["b-0"]) == {"b": {"0": "b-0"}}


def with_floors(targets, seeds=(0, 1), **other):
    """A study in which random latents are scored for each of `targets`, one with other keys."""
    study = fake_study.params(seeds=seeds)
    for seed in seeds:
        for target in targets:
            study["attack_runs"][f"random-{target}-{seed}"] = {
                **study["attack_runs"][f"random-none-{seed}"],
                "target": f"{target}-{seed}",
                "queried_model": f"models/targets/{target}-{seed}",
                **(other if target == targets[-1] else {}),
            }
    return study


def test_random_latents_count_once_a_seed_whatever_they_name_as_target():
    study = with_floors(("none", "none_aug", "trapmid"))
    assert groups.Groups.of(study).floor == ["random-none-0", "random-none-1"]


@pytest.mark.parametrize("key", ["prior", "evaluator", "verifier", "identity"])
def test_random_latents_that_differ_are_no_seeds_of_one(key):
    study = with_floors(("none", "trapmid"), (0,), **{key: "other"})
    with pytest.raises(ResultError) as error:
        groups.Groups.of(study)
    assert str(error.value) == (
        "attack_runs: random-none-0 and random-trapmid-0 are both random latents of seed 0, and "
        f"differ in {key}; give one of them an attack of its own"
    )


def shown(*without):
    """The seeds in the picture of GMI, by defence, of a study that lacks rows."""
    study = fake_study.params(seeds=(1, 0, 2))
    for row in without:
        del study["attack_runs"][row]
    compared = groups.side_by_side(study)["gmi"]
    runs = study["attack_runs"]
    return compared.seed, {name: runs[row]["seed"] for name, row in compared.by_defense.items()}


def test_a_picture_shows_the_lowest_seed_that_all_defences_have():
    assert shown() == (0, {"none": 0, "none_aug": 0, "trapmid": 0})
    assert shown("gmi-trapmid-0") == (1, {"none": 1, "none_aug": 1, "trapmid": 1})
    lacking = ("gmi-trapmid-0", "gmi-none-1", "gmi-trapmid-2")
    assert shown(*lacking) == (None, {"none": 0, "none_aug": 0, "trapmid": 1})


def test_the_floor_has_one_place_in_its_picture():
    compared = groups.side_by_side(with_floors(("none", "trapmid")))["random"]
    assert compared.by_defense == {"random": "random-none-0"} and compared.seed == 0
