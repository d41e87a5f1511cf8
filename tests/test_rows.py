"""Rows built on one block a method: what a row changes, and that the block reaches all of them."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from ruamel.yaml import YAML

import shipped
from trapmid import wiring
from trapmid.config import params
from trapmid.config.params import ParamsError
from trapmid.profiles.preflight import BUILDERS


def study(profile: str) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(shipped.text(profile))
    return found


def methods(made: dict[str, Any], section: str, **wanted: str) -> dict[str, Any]:
    """The method of every row of a section whose fields are as `wanted`."""
    return {
        name: BUILDERS[section](row["method"], params.of_row(made, section, name), "block")
        for name, row in made[section].items()
        if all(row[key] == value for key, value in wanted.items())
    }


@pytest.mark.parametrize(
    ("setting", "value", "section", "wanted", "variants"),
    [
        ("trapdoor.beta", 0.1, "targets", {"block": "trapdoor"}, ["trapmid_negls"]),
        ("negls.smoothing.factor", -0.1, "targets", {"block": "negls"}, ["negls"]),
        (
            "attacks.plgmi.lr",
            0.07,
            "attack_runs",
            {"method": "plgmi"},
            ["plus", "finetuned", "strong"],
        ),
        (
            "attacks.lomma.lr",
            0.07,
            "attack_runs",
            {"method": "lomma"},
            ["lomma_kedmi", "lomma_gmi"],
        ),
        (
            "prior_training.plgmi.width",
            8,
            "guided_priors",
            {"method": "plgmi"},
            ["plus_plus", "distil"],
        ),
        (
            "surrogate_training.finetune.epochs",
            9,
            "surrogates",
            {"method": "finetune"},
            ["finetuned-mid"],
        ),
    ],
)
def test_a_value_of_a_block_reaches_every_row_built_on_it(
    setting: str, value: Any, section: str, wanted: dict[str, str], variants: list[str]
) -> None:
    """As `dvc exp run -S` sets it, in the profile of every attack on every defence."""
    made = study("attacks")
    before = methods(made, section, **wanted)
    *above, key = setting.split(".")
    block = functools.reduce(lambda node, name: node[name], above, made)
    assert block[key] != value
    block[key] = value
    after = methods(made, section, **wanted)
    assert before and all(before[row] != after[row] for row in before)
    for variant in variants:
        assert any(row.startswith(variant) for row in after), variant


def test_a_variant_differs_in_what_its_row_says() -> None:
    made = study("attacks")
    plain, plus = (methods(made, "attack_runs")[f"{row}-trapmid-0"] for row in ("plgmi", "plus"))
    assert plain.adaptive is None and plus.adaptive.auxiliary_weight == 100.0
    strong = methods(made, "attack_runs")["strong-trapmid-0"]
    assert (strong.views, strong.view.scale, strong.view.jitter) == (4, 0.5, plain.view.jitter)
    defenses = methods(made, "targets", block="trapdoor")
    assert defenses["trapmid-0"].smoothing is None
    assert defenses["trapmid_negls-0"].smoothing.factor == -0.05


@pytest.mark.parametrize(
    ("section", "row", "changes", "message"),
    [
        (
            "targets",
            "trapmid_negls-0",
            {"foo": 1},
            r"targets\.trapmid_negls-0\.set\.foo: unknown; known \['alpha', ",
        ),
        ("targets", "trapmid-0", {"beta": 2.0}, r"targets\.trapmid-0\.set\.beta: 2\.0 is outside"),
        ("targets", "trapmid-0", {"beta": "x"}, r"targets\.trapmid-0\.set\.beta: must be float"),
        (
            "targets",
            "trapmid-0",
            {"augmentation": {"crob": 1.0}},
            r"targets\.trapmid-0\.set\.augmentation\.crob: unknown; known \['crop', ",
        ),
        (
            "targets",
            "trapmid-0",
            {"smoothing": {"factor": 1.0}},
            r"targets\.trapmid-0\.set\.smoothing: missing \['jump', 'ramp'\]",
        ),
        (
            "attack_runs",
            "plgmi-mid-0",
            {"view": {"flip": "x"}},
            r"attack_runs\.plgmi-mid-0\.set\.view\.flip: ",
        ),
    ],
)
def test_a_wrong_change_names_the_row(
    section: str, row: str, changes: dict[str, Any], message: str
) -> None:
    made = study("attacks")
    made[section][row]["set"] = changes
    with pytest.raises(ParamsError, match=message) as caught:
        methods(made, section)
    assert "\n" not in str(caught.value)


def test_what_the_block_says_is_named_by_the_block() -> None:
    made = study("attacks")
    made["trapdoor"]["beta"] = 2.0
    with pytest.raises(ParamsError, match=r"^trapdoor\.beta: 2\.0 is outside"):
        wiring.defense("trapmid", params.of_row(made, "targets", "trapmid_negls-0"), "trapdoor")


def test_a_file_keeps_ordinary_dictionaries() -> None:
    made = study("attacks")
    merged = params.of_row(made, "attack_runs", "strong-trapmid-0").plain()
    assert type(merged) is dict and type(merged["view"]) is dict
    assert merged["view"] == made["attacks"]["plgmi"]["view"] | {"scale": 0.5, "degrees": 30.0}
    assert "set" not in made["attacks"]["plgmi"]
