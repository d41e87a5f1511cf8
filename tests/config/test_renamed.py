from __future__ import annotations

from pathlib import Path

import pytest

from trapmid.config import params
from trapmid.config.params import ParamsError
from trapmid.config.renamed import KEYS, SECTIONS, old_names
from trapmid.profiles.compose import compose
from trapmid.profiles.sections import ProfileError

ROOT = Path(__file__).parents[2]


def test_every_place_of_an_old_name_is_told() -> None:
    content = {
        "cells": {"gmi-none-0": {"guide": "models/targets/none-0"}},
        "defaults": {"fits": {}, "targets": {"fit": "target"}},
        "recipes": {"gmi": {"anchor": None, "steps": 3}},
        "seeds": [0],
    }
    assert list(old_names(content)) == [
        "cells: is called attack_runs since version 0.2",
        "cells.gmi-none-0.guide: is called queried_model since version 0.2",
        "defaults.fits: is called classifier_training since version 0.2",
        "defaults.targets.fit: is called training since version 0.2",
        "recipes: is called prior_training since version 0.2",
        "recipes.gmi.anchor: is called vae_gan since version 0.2",
    ]


def test_today_s_files_have_none_of_them() -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert list(old_names(params.parse(text))) == []


def test_new_names_are_in_use_and_old_ones_are_not() -> None:
    content = params.parse((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert set(SECTIONS.values()) <= set(content)
    rows = [row for part in content.values() if isinstance(part, dict) for row in part.values()]
    used = {key for row in rows if isinstance(row, dict) for key in row}
    assert set(KEYS.values()) <= used


@pytest.mark.parametrize("old", SECTIONS)
def test_params_of_the_first_version_are_refused_in_one_line(old: str) -> None:
    with pytest.raises(ParamsError, match=f"^{old}: is called {SECTIONS[old]} since version 0.2$"):
        params.parse(f"seeds: [0]\n{old}: {{}}\n")


def test_a_profile_of_the_first_version_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text("cells: {gmi-none: {guide: x}}\n", encoding="utf-8")
    with pytest.raises(ProfileError, match=r"small\.yaml: cells: is called attack_runs"):
        compose("small", folder=tmp_path)


def test_the_glossary_has_every_one_of_them() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    for old, new in {**SECTIONS, **KEYS}.items():
        assert f"`{old}`" in glossary and f"`{new}`" in glossary, old
