"""From a profile to params.yaml: what comes out, and what is refused in one line."""

from __future__ import annotations

import pytest
from texts import SMALL, plain

from trapmid.profiles.compose import compose
from trapmid.profiles.sections import ProfileError


def test_rows_get_their_seed(folder):
    made = plain(compose("small", folder=folder))
    assert made["profile"] == "small"
    assert list(made["targets"]) == ["none-0", "trapmid-0"]
    assert made["targets"]["none-0"]["seed"] == 0
    assert made["guided_priors"]["plgmi-none-0"]["target"] == "none-0"
    assert made["attack_runs"]["plgmi-none-0"]["prior"] == "models/priors/guided/plgmi-none-0"


def test_what_is_shared_is_not_repeated(folder):
    made = plain(compose("small", folder=folder))
    assert made["attack_runs"]["gmi-none-0"]["prior"] == "models/priors/public/gmi"
    init = made["guided_priors"]["plgmi-none-0"]["init"]
    assert init == "models/priors/public/gmi/prior.pt"
    assert list(made["evaluators"]) == ["evaluator"]
    assert made["evaluators"]["evaluator"]["seed"] == 7
    assert list(made["public_priors"]) == ["gmi"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "plgmi-none: {target: none",
            "plgmi-none: {target: nune",
            r"guided_priors\.plgmi-none\.target: no 'nune'",
        ),
        (
            "set: {lr: 0.5}",
            "prior: models/priors/guided/plgmi",
            r"attack_runs\.plgmi-none\.prior: no 'plgmi'",
        ),
        (
            "surrogates/student-none",
            "surrogates/x",
            r"guided_priors\.student-none\.queried_model: no 'x'",
        ),
        (
            "none: {target: none}",
            "none: {leak: models/leaks/y.pt}",
            r"signatures\.none\.leak: no 'y'",
        ),
        ("gmi-none: {target: none}", "gmi-none: {}", r"attack_runs\.gmi-none: no 'target'"),
        ("raw: {}\n", "", "no raw; an empty section"),
        (
            "  none: {}\n  #",
            "  none: {seed: 1}\n  #",
            r"targets\.none: `seed` comes from",
        ),
        ("raw: {}\n", "raw: [\n", "while parsing"),
    ],
)
def test_a_wrong_profile_is_one_line(folder, old, new, words):
    (folder / "small.yaml").write_text(SMALL.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ProfileError, match=words) as error:
        compose("small", folder=folder)
    assert "\n" not in str(error.value)
