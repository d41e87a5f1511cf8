"""A profile over its base."""

from __future__ import annotations

import pytest
from texts import plain

from trapmid.profiles.compose import compose
from trapmid.profiles.sections import ProfileError


def test_an_overlay_is_merged_block_by_block_and_row_by_row(folder):
    made = plain(compose("paper", folder=folder))
    assert made["trapdoor"] == {"alpha": 0.02, "beta": 0.3}
    assert set(made["classifier_training"]) == {"small", "vgg"}
    assert made["data"] == {"celeba": {"identities": 1000}}
    assert list(made["targets"]) == ["none-3", "none-5", "trapmid-3", "trapmid-5"]
    trapmid = made["targets"]["trapmid-5"]
    assert (trapmid["arch"], trapmid["block"], trapmid["data"]) == ("large", "trapdoor", "celeba")
    assert trapmid["init"] == "models/targets/none-5/model.pt"
    assert made["attack_runs"]["gmi-none-3"]["data"] == "celeba"
    assert made["profile"] == "paper"
    assert "base" not in made


def test_a_new_method_block_needs_a_target(folder):
    extra = folder / "bido.yaml"
    extra.write_text("base: small\nbido: {weight: 0.1}\n", encoding="utf-8")
    with pytest.raises(ProfileError, match=r"unknown \['bido'\]"):
        compose("bido", folder=folder)
    text = "base: small\nbido: {weight: 0.1}\ntargets: {bido: {}}\n"
    extra.write_text(text, encoding="utf-8")
    made = plain(compose("bido", folder=folder))
    assert made["bido"] == {"weight": 0.1}
    assert made["targets"]["bido-0"]["block"] == "bido"


def test_an_unknown_profile_names_the_known(folder):
    with pytest.raises(ProfileError, match=r"no profile .large. in .*; there are paper, small"):
        compose("large", folder=folder)


def test_bases_may_have_bases(folder):
    (folder / "more.yaml").write_text("base: paper\ntrapdoor: {beta: 0.7}\n")
    made = plain(compose("more", folder=folder))
    assert made["trapdoor"] == {"alpha": 0.02, "beta": 0.7} and made["seeds"] == [3, 5]
    (folder / "loop.yaml").write_text("base: loop\n")
    with pytest.raises(ProfileError, match=r"loop\.yaml: its bases lead back to it"):
        compose("loop", folder=folder)
