"""From a name to a method, and a file for every name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from trapmid import types, wiring
from trapmid.config.params import ParamsError

OFFICIAL = ("small_resnet", "small_vgg", "vgg16")


def test_names_are_the_files() -> None:
    assert set(OFFICIAL) <= set(wiring.names("targets"))
    assert "trapmid" in wiring.names("defenses")
    assert {"gmi", "plgmi"} <= set(wiring.names("priors"))
    assert {"gmi", "plgmi", "random"} <= set(wiring.names("attacks"))


@pytest.mark.parametrize("kind", ["attacks", "defenses", "priors", "surrogates", "targets"])
def test_every_file_has_its_class(kind: str) -> None:
    roles = {
        "attacks": {types.Attack, types.LabelAttack},
        "defenses": {types.Defense},
        "priors": {types.PriorTraining},
        "surrogates": {types.Surrogate},
        "targets": {types.Target},
    }
    for name in wiring.names(kind):
        cls = wiring._role(kind, name)
        assert cls.__module__ == f"trapmid.{kind}.{name}"
        assert roles[kind] & {*cls.__mro__}  # mypy checks the rest


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wiring.attack("gmj", {}), r"attacks: no 'gmj'; there are brepmi, gmi, "),
        (
            lambda: wiring.defense("nothing", {}, "x"),
            r"defenses: no 'nothing'; there are atat, bido, ",
        ),
        (
            lambda: wiring.prior_training("stylegan", {}),
            r"priors: no 'stylegan'; there are gmi, kedmi, ",
        ),
        (lambda: wiring.target("vgg17"), r"targets: no 'vgg17'; .*vgg16"),
        (lambda: wiring.reader("splits"), r"data: 'splits' has no Reader"),
        (lambda: wiring.maker("splits", {}, "raw.x"), r"data: 'splits' has no Maker"),
        (
            lambda: wiring.attack("gmi", {}),
            r"attacks\.gmi: missing \['adaptive', 'averaging', 'bound', ",
        ),
        (lambda: wiring.attack("random", {"lr": 1}), r"attacks\.random: unknown \['lr'\]"),
        (lambda: wiring.prior_training("gmi", {}), r"prior_training\.gmi: missing "),
        (
            lambda: wiring.prior_training("gmi", {}, "prior_training.my_own"),
            r"prior_training\.my_own: missing ",
        ),
        (lambda: wiring.surrogate("steal", {}), r"surrogates: no 'steal'; there are distil, "),
        (lambda: wiring.defense("none", {}, "none_aug"), r"none_aug: missing \['augmentation'\]"),
    ],
)
def test_a_wrong_name_lists_the_choices(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        call()


@pytest.mark.slow
def test_one_method_imports_no_sibling() -> None:
    code = "import sys; from trapmid import wiring; wiring.target('small_vgg'); "
    code += "print(*(m for m in sys.modules if m.startswith('trapmid.targets.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["trapmid.targets.small_vgg"]
