"""Rows that meet in an attack and do not belong together are refused before anything runs."""

from __future__ import annotations

import copy
import functools
import io
from typing import Any

import pytest
from ruamel.yaml import YAML

import shipped
from trapmid.profiles import preflight


def problems(profile: str, data: dict[str, Any], *changes: tuple[str, Any]) -> list[str]:
    """The profile with a data row `other`: that of `faces`, but for `data`; then with changes."""
    content = YAML(typ="safe").load(shipped.text(profile))
    whole = YAML(typ="safe").load(shipped.whole(profile))
    content["judge_training"] = whole["judge_training"]
    content["data"]["other"] = copy.deepcopy(content["data"]["faces"]) | data
    for path, value in changes:
        *above, key = path.split(".")
        functools.reduce(lambda node, name: node[name], above, content)[key] = value
    stream = io.StringIO()
    YAML(typ="safe").dump(content, stream)
    return preflight.problems(stream.getvalue())


OTHERS = {"min_images": 40}  # another choice of private people from one source
PUBLIC = {"public_max_images": 10}  # the same private people beside other public images


@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "changed", "place"),
    [
        ("small", "public_priors.gmi", "attack_runs.gmi-none-0"),
        ("small", "evaluators.evaluator", "attack_runs.plgmi-none-0"),
        ("small", "guided_priors.plgmi-none-0", "guided_priors.plgmi-none-0"),
        ("small", "targets.none-0", "attack_runs.plgmi-none-0"),
        ("small", "attack_runs.plgmi-none-0", "attack_runs.plgmi-none-0"),
        ("small", "signatures.trapmid-0", "guided_priors.plus-trapmid-0"),
        ("attacks", "surrogates.students-none-0", "surrogates.students-none-0"),
        ("attacks", "leaks.trapmid-0", "signatures.trapmid-0"),
        ("small", "evaluators.second", "attack_runs.gmi-none-0"),
        ("small", "judges.verifier", "attack_runs.gmi-none-0"),
        ("small", "judges.identity", "attack_runs.gmi-none-0"),
    ],
)
def test_people_must_be_the_same(profile: str, changed: str, place: str) -> None:
    change = (f"{changed}.data", "other")
    lines = problems(profile, OTHERS, change)
    assert any(
        line.startswith(f"{place}.data: ")
        and line.endswith(" differ in min_images: they must have the same private people")
        for line in lines
    ), lines
    assert problems(profile, PUBLIC, change) == []


def test_a_prior_starts_from_one_that_learnt_beside_the_same_people() -> None:
    """Public images of other private people may show these."""
    gmi = "models/priors/public/gmi/prior.pt"
    guided = [("public_priors.gmi.data", "other"), ("guided_priors.plgmi-none-0.init", gmi)]
    words = "guided_priors.plgmi-none-0.data: faces and other (of public_priors.gmi) differ in"
    assert any(line.startswith(words) for line in problems("small", OTHERS, *guided))
    public = [
        ("public_priors.own", {**PUBLIC_PRIOR, "data": "other"}),
        ("public_priors.gmi.init", "models/priors/public/own/prior.pt"),
    ]
    assert problems("small", PUBLIC, *public) == []
    assert problems("small", OTHERS, *public) == [
        "public_priors.gmi.init: public_priors.own learnt from the public people of other, which "
        "has other private people than faces (min_images)"
    ]


def test_a_surrogate_starts_from_nobody_who_knows_the_private_people() -> None:
    start = ("surrogates.students-none-0.init", "models/evaluators/evaluator/model.pt")
    assert (
        "surrogates.students-none-0.init: evaluators.evaluator learnt the private people; an "
        "attacker starts from public people or random weights"
    ) in problems("attacks", {}, start)


def test_a_public_prior_starts_from_none_that_asked() -> None:
    start = ("public_priors.gmi.init", "models/priors/guided/plgmi-none-0/prior.pt")
    assert problems("small", {}, start) == [
        "public_priors.gmi.init: guided_priors.plgmi-none-0 asked none-0; a public prior knows no "
        "target"
    ]


PUBLIC_PRIOR = {"method": "gmi", "init": "weights/random", "seed": 0, "set": {}}
LISTS = {"train": "train.txt", "test": "test.txt", "public": "public.txt"}


@pytest.mark.parametrize(
    ("other", "key"),
    [
        ({"lists": LISTS}, "lists.train, lists.test"),
        ({"lists": LISTS | {"test": "more.txt"}}, "lists.train, lists.test"),
        ({"private_order": "images"}, "private_order"),
        ({"test_split": "shuffled"}, "test_split"),
        ({"test_split": "stratified"}, None),
        ({"private_order": "number", "lists": None}, None),
        ({"private": {"reader": "celeba", "path": "data/external/another"}}, "private"),
        ({"image_size": 40}, "image_size"),
        ({"identities": 12}, "identities"),
        ({"test_fraction": 0.2}, "test_fraction"),
        ({"val_fraction": 0.2}, "val_fraction"),
        ({"seed": 1}, "seed"),
        ({"max_images": 80}, "max_images"),
        ({"images_each": 50}, "images_each"),
    ],
)
def test_lists_and_order_decide_who_is_private(other: dict[str, Any], key: str | None) -> None:
    lines = problems("small", other, ("attack_runs.plgmi-none-0.data", "other"))
    words = f" differ in {key}: they must have the same private people"
    assert not lines if key is None else any(line.endswith(words) for line in lines)


@pytest.mark.parametrize(
    ("profile", "changed", "value", "line"),
    [
        (
            "small",
            "attack_runs.plgmi-none-0.prior",
            "models/priors/guided/plgmi-trapmid-0",
            "attack_runs.plgmi-none-0.target: none-0, "
            "but guided_priors.plgmi-trapmid-0 is about trapmid-0",
        ),
        (
            "small",
            "attack_runs.plgmi-none-0.queried_model",
            "models/targets/trapmid-0",
            "attack_runs.plgmi-none-0.target: none-0, but targets.trapmid-0 is about trapmid-0",
        ),
        (
            "small",
            "guided_priors.plgmi-none-0.side_information",
            "models/signatures/trapmid-0.pt",
            "guided_priors.plgmi-none-0.target: none-0, "
            "but signatures.trapmid-0 is about trapmid-0",
        ),
        (
            "small",
            "guided_priors.plgmi-trapmid-0.init",
            "models/priors/guided/plgmi-none-0/prior.pt",
            "guided_priors.plgmi-trapmid-0.target: trapmid-0, "
            "but guided_priors.plgmi-none-0 is about none-0",
        ),
        (
            "small",
            "guided_priors.plgmi-none-0.queried_model",
            "models/targets/trapmid-0",
            "guided_priors.plgmi-none-0.target: none-0, but targets.trapmid-0 is about trapmid-0",
        ),
        (
            "small",
            "attack_runs.plgmi-none-0.side_information",
            "models/signatures/trapmid-0.pt",
            "attack_runs.plgmi-none-0.target: none-0, but signatures.trapmid-0 is about trapmid-0",
        ),
        pytest.param(
            "attacks",
            "signatures.trapmid-0.target",
            "none-0",
            "signatures.trapmid-0.target: none-0, but leaks.trapmid-0 is about trapmid-0",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_targets_must_be_the_same(profile: str, changed: str, value: str, line: str) -> None:
    assert line in problems(profile, {}, (changed, value))


def test_a_transfer_starts_from_other_people() -> None:
    lines = problems("wide", {}, ("pretrained.strangers.data", "other"))
    assert lines == [
        "targets.transfer-0.init: pretrained.strangers learnt people of data/raw/synthetic/celeba, "
        "where the private ones come from; name other data, or give other a max_images under "
        "faces's min_images"
    ]


@pytest.mark.parametrize(("most", "allowed"), [(29, True), (30, False)])
def test_people_with_fewer_images_are_others(most: int, allowed: bool) -> None:
    """`faces` has people with 30 images and more."""
    fewer = {"min_images": 3, "max_images": most}
    assert (problems("wide", fewer, ("pretrained.strangers.data", "other")) == []) == allowed


@pytest.mark.parametrize(
    ("of_others", "data", "allowed"),
    [
        (PUBLIC, "other", True),  # beside the same private people
        (OTHERS, "other", False),  # who are public there may be private here
        ({"identities": 12}, "other", False),  # half of the private people are public there
        (OTHERS | {"public": {"reader": "celeba", "path": "data/raw/strangers"}}, "other", True),
        ({}, "faces", True),
    ],
)
def test_a_teacher_shows_no_private_people(
    of_others: dict[str, Any], data: str, allowed: bool
) -> None:
    changes = (("pretrained.strangers.data", data), ("pretrained.strangers.teacher", "dlib"))
    lines = problems("wide", of_others, *changes, ("pretrained.strangers.training", "target"))
    refused = (
        "targets.transfer-0.init: pretrained.strangers learnt public images of "
        "data/raw/synthetic/celeba, where the private ones come from; give it data: faces, whose "
        "public images are of other people"
    )
    assert lines == ([] if allowed else [refused])


def test_a_verifier_does_not_repeat_the_evaluator() -> None:
    changes = (
        ("judges.verifier.method", "dlib"),
        ("evaluators.evaluator.arch", "dlib_head"),
        ("attack_runs.gmi-none-0.verifier", "weights/none"),
    )
    assert problems("small", {}, changes[0], changes[2]) == []
    lines = problems("small", {}, *changes)
    assert len(lines) == 7, lines  # all attacks of the profile but the one
    assert all("sees with the same recogniser as the evaluator (dlib_head)" in one for one in lines)
    assert not any(line.startswith("attack_runs.gmi-none-0.") for line in lines)


def seeds(*changes: tuple[str, Any]) -> list[str]:
    """The small profile for two seeds, with changes."""
    content = YAML(typ="safe").load(shipped.text("small", (0, 1)))
    content["evaluators"]["second"] = copy.deepcopy(content["evaluators"]["evaluator"])
    for path, value in changes:
        *above, key = path.split(".")
        functools.reduce(lambda node, name: node[name], above, content)[key] = value
    stream = io.StringIO()
    YAML(typ="safe").dump(content, stream)
    return preflight.problems(stream.getvalue())


def _shared_name_that_ends_with_a_seed() -> list[tuple[str, Any]]:
    """An evaluator called judge-1, which is nobody's seed 1."""
    content = YAML(typ="safe").load(shipped.text("small", (0, 1)))
    judge = content["evaluators"]["evaluator"]
    rows = [(f"attack_runs.{name}.evaluator", "judge-1") for name in content["attack_runs"]]
    return [("evaluators.judge-1", judge), *rows]


@pytest.mark.slow
def test_a_judge_learns_the_strangers_of_those_whom_it_judges() -> None:
    row = {"data": "other", "method": "verifier", "block": "judge_training.verifier"}
    trained = row | {"min_images": 2, "truth": "weights/none", "seed": 0}
    learnt = ("judges.verifier.model", "models/judges/own/model.pt")
    there = ("trained_judges.own", trained)
    assert problems("small", PUBLIC, there, learnt) == []
    assert problems("small", OTHERS, there, learnt) == [
        "judges.verifier.model: trained_judges.own learnt from the public people of other, which "
        "has other private people than faces (min_images)"
    ]
    block = {"method": "attributes", "block": "judge_training.attributes"}
    assert problems("small", PUBLIC, ("trained_judges.own", trained | block), learnt) == [
        "judges.verifier.method: verifier, but trained_judges.own is attributes"
    ]
    assert problems("small", PUBLIC, learnt) == [
        "judges.verifier.model: no 'own' in trained_judges; there are none"
    ]
    assert problems("small", PUBLIC, ("trained_judges.own", trained | {"method": "dlib"})) == [
        "judges: 'dlib' is not trained here; attributes, portrait, verifier are"
    ]


@pytest.mark.slow
def test_seeds_of_one_experiment_differ_in_the_seed_alone() -> None:
    assert seeds() == []
    assert seeds(*_shared_name_that_ends_with_a_seed()) == []
    words = "has one name in the tables with"
    ends = "give one of them a name of its own"
    for changed, value, line in (
        (
            "attack_runs.plgmi-none-1.evaluator",
            "second",
            f"attack_runs.plgmi-none-1: {words} plgmi-none-0, and differs from it in evaluator: "
            + ends,
        ),
        (
            "attack_runs.plgmi-none-1.prior",
            "models/priors/public/gmi",
            f"attack_runs.plgmi-none-1: {words} plgmi-none-0, and differs from it in prior: "
            + ends,
        ),
        (
            "targets.none-1.training",
            "evaluator",
            f"targets.none-1: {words} none-0, and differs from it in training: {ends}",
        ),
        (
            "targets.none-1.set",
            {"augmentation": None},
            f"targets.none-1: {words} none-0, and differs from it in set: {ends}",
        ),
    ):
        assert seeds((changed, value)) == [line]


def _floor_of(target: str, **other: Any) -> tuple[str, Any]:
    """Random latents beside those of random-none-0, for another target of its seed."""
    row = YAML(typ="safe").load(shipped.text("small", (0, 1)))["attack_runs"]["random-none-0"]
    named = {"target": target, "queried_model": f"models/targets/{target}"}
    return f"attack_runs.random-{target}", row | named | other


@pytest.mark.slow
def test_random_latents_may_name_several_targets() -> None:
    """They ask none, and the report counts them once."""
    assert seeds(_floor_of("trapmid-0"), _floor_of("none_aug-0")) == []
    assert seeds(_floor_of("trapmid-0", prior="models/priors/guided/plgmi-trapmid-0")) == [
        "attack_runs.random-trapmid-0: has one name in the tables with random-none-0, and differs "
        "from it in prior: give one of them a name of its own"
    ]
    name, same = _floor_of("none-0")
    assert seeds((name + "-again", same)) == [
        "attack_runs.random-none-0-again: is random-none-0 again, with the same seed; one of them "
        "is enough"
    ]


@pytest.mark.slow
def test_a_seed_of_one_experiment_is_there_once() -> None:
    """The report would refuse it, when all is done."""
    small = YAML(typ="safe").load(shipped.text("small", (0, 1)))
    for section, name in (("attack_runs", "gmi-none-1"), ("targets", "none-1")):
        assert seeds((f"{section}.other-1", small[section][name])) == [
            f"{section}.other-1: is {name} again, with the same seed; one of them is enough"
        ]
