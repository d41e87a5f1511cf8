"""What a row leaves out."""

from __future__ import annotations

from texts import plain

from trapmid.profiles.compose import compose


def test_a_row_of_params_says_all_of_it(folder):
    """By its name, by the section's defaults, by the rows that it names."""
    made = plain(compose("small", folder=folder))
    target = {"method": "none", "block": "none", "arch": "tiny", "data": "faces", "seed": 0}
    target |= {"training": "small"}
    assert made["targets"]["none-0"] == {"defense": "none"} | target
    assert made["targets"]["trapmid-0"]["method"] == "trapmid"
    assert made["targets"]["trapmid-0"]["block"] == "trapdoor"
    assert made["attack_runs"]["gmi-none-0"] == {
        "attack": "gmi",
        "method": "gmi",
        "target": "none-0",
        "queried_model": "models/targets/none-0",
        "side_information": "weights/none",
        "prior": "models/priors/public/gmi",
        "verifier": "weights/none",
        "identity": "weights/none",
        "second_evaluator": "weights/none",
        "data": "faces",
        "seed": 0,
    }
    assert made["attack_runs"]["plgmi-none-0"]["set"] == {"lr": 0.5}
    assert made["guided_priors"]["plgmi-none-0"]["method"] == "plgmi"
    assert made["guided_priors"]["plgmi-none-0"]["queried_model"] == "models/targets/none-0"
    assert made["public_priors"]["gmi"]["method"] == "gmi"
    student = made["surrogates"]["student-none-0"]
    assert (student["surrogate"], student["method"]) == ("student", "distil")
    assert (student["arch"], student["data"]) == ("tiny", "faces")  # its target's
    assert made["signatures"]["none-0"]["leak"] == "weights/none"
    assert made["signatures"]["trapmid-0"]["leak"] == "models/leaks/trapmid-0.pt"
    assert "defaults" not in made


def test_an_attack_asks_what_its_own_prior_asked(folder):
    made = plain(compose("small", folder=folder))
    prior, attack = (made[s]["student-none-0"] for s in ("guided_priors", "attack_runs"))
    assert attack["prior"] == "models/priors/guided/student-none-0"
    for key in ("queried_model", "side_information", "data", "method"):
        assert attack[key] == prior[key], key
    assert (attack["attack"], attack["queried_model"]) == (
        "through",
        "models/surrogates/student-none-0",
    )
