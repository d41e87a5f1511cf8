"""params.yaml holds the blocks that its rows use, and no other."""

from __future__ import annotations

import re

import pytest
import yaml

import shipped
from trapmid.config import params
from trapmid.profiles import preflight
from trapmid.profiles.compose import compose, every_block
from trapmid.profiles.sections import BLOCKS, NO_DEFENSES, ProfileError

SETTINGS = {"profile", "seeds", *NO_DEFENSES}


def blocks(content) -> set[str]:
    found = {f"{section}.{name}" for section in BLOCKS for name in content[section]}
    return found | (set(content) - SETTINGS - {"defaults"})


def asked(content) -> set[str]:
    """The blocks that are read when every row is: `Study` writes down what it is asked for."""
    study = params.Study(content)
    for section in ("evaluators", "pretrained", "targets", "trained_judges", *params.BLOCKS):
        for name, row in content[section].items():
            params.of_row(study, section, name)
            if "training" in row:
                params.section(study, f"classifier_training.{row['training']}")
    return study.asked & blocks(content)


@pytest.mark.parametrize("name", shipped.LARGE_ARE_SLOW)
def test_no_block_is_missing_or_idle(name):
    content = params.parse(shipped.text(name))
    assert blocks(content) == asked(content)


def test_the_default_study_has_those_of_its_three_targets():
    small = yaml.safe_load(shipped.text("small"))
    assert set(small) - SETTINGS == {"none", "none_aug", "trapdoor"}
    assert set(small["attacks"]) == {"random", "gmi", "plgmi"}
    assert set(small["prior_training"]) == {"gmi", "plgmi"}
    assert small["surrogate_training"] == {} == small["judge_training"]
    whole = yaml.safe_load(shipped.whole("small"))
    assert {"mid", "bido", "attacks.lomma", "prior_training.kedmi"} <= blocks(whole)


def test_a_row_brings_its_block(tmp_path):
    for file in ("small", "wide"):
        text = (shipped.PROFILES / f"{file}.yaml").read_text(encoding="utf-8")
        (tmp_path / f"{file}.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text("base: small\ntargets: {mid: {}}\n", encoding="utf-8")
    made = yaml.safe_load(compose("mine", folder=tmp_path))
    assert set(made) - SETTINGS == {"none", "none_aug", "trapdoor", "mid"}
    assert made["mid"] == yaml.safe_load(every_block("mine", tmp_path))["mid"]


def test_a_row_without_its_block_says_what_to_do():
    old = "targets:\n  none-0: {defense: none, method: none, block: none,"
    assert old in shipped.text("small")
    found = preflight.problems(shipped.text("small").replace(old, old[:-5] + "mid,"))
    assert re.search(r"no 'mid'; .*targets\.none-0 needs it: add that row to a profile", found[0])


@pytest.mark.parametrize("section", [*BLOCKS, "gate", "checks", "targets", "defaults"])
def test_a_section_whose_lines_were_all_commented_out_is_one_line(tmp_path, section):
    small = (shipped.PROFILES / "small.yaml").read_text(encoding="utf-8")
    (tmp_path / "small.yaml").write_text(small, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(f"base: small\n{section}:\n", encoding="utf-8")
    with pytest.raises(
        ProfileError, match=rf"^mine: {section}:? must be (a mapping|mappings), .*None$"
    ):
        compose("mine", folder=tmp_path)


def test_a_control_without_a_row_is_none(tmp_path):
    small = (shipped.PROFILES / "small.yaml").read_text(encoding="utf-8")
    (tmp_path / "small.yaml").write_text(small, encoding="utf-8")
    text = """base: small
targets: {none_aug: null}
evaluators: {evaluator: {block: none}, second: {block: none}}
"""
    for more, controls in (("", ["none"]), ("gate: {controls: [none, nune]}\n", ["none", "nune"])):
        (tmp_path / "mine.yaml").write_text(text + more, encoding="utf-8")
        composed = compose("mine", folder=tmp_path)
        assert yaml.safe_load(composed)["gate"]["controls"] == controls
        assert [line[:33] for line in preflight.problems(composed)] == (
            ["gate.controls: no defence 'nune';"] if more else []
        )
