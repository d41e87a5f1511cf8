"""Every method that ships has a name; whoever is unknown has the code in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from trapmid.report import names

PACKAGE = Path(names.__file__).parents[1]


def methods(folder):
    return {path.stem for path in (PACKAGE / folder).glob("[!_]*.py")}


def test_every_attack_has_a_name_and_a_gloss():
    """LOMMA's file serves two of them."""
    missing = sorted(methods("attacks") - {"lomma"} - set(names.ATTACKS))
    assert not missing, f"ATTACKS in src/trapmid/report/names.py lacks name and gloss of {missing}"
    assert {"lomma_gmi", "lomma_kedmi"} <= set(names.ATTACKS)
    silent = [code for code in names.ATTACKS if not names.gloss(code)]
    assert not silent, f"ATTACKS in src/trapmid/report/names.py: no gloss of {silent}"


def test_every_defence_has_a_name():
    missing = sorted(methods("defenses") - set(names.DEFENSES))
    assert not missing, f"DEFENSES in src/trapmid/report/names.py lacks the name of {missing}"


@pytest.mark.parametrize(
    ("shown", "code", "name"),
    [
        (names.defense, "trapmid", "Trap-MID"),
        (names.defense, "none@digits", "No defence (digits)"),
        (names.defense, "none@small_ir@digits", "No defence (small_ir, digits)"),
        (names.defense, "my_own", "my own"),
        (names.attack, "plgmi_plus", "PLG-MI+"),
        (names.attack, "plgmi_plus_20", "plgmi plus 20"),
    ],
)
def test_a_code_in_words(shown, code, name):
    assert shown(code) == name


def test_no_two_methods_have_one_name():
    for known in (names.ATTACKS, names.DEFENSES):
        assert len({name.full for name in known.values()}) == len(known)
