"""Rows with a star: one per target."""

from __future__ import annotations

import pytest
from texts import plain

from trapmid.profiles.compose import compose
from trapmid.profiles.sections import ProfileError

STARS = """\
base: small
signatures:
  "*": {top_n: 4} # of everyone
  trapmid: {top_n: 5}
guided_priors:
  plgmi-*: {side_information: models/signatures/*.pt}
  plgmi-none: {data: other}
  student-none: null
surrogates:
  student-none: null
attack_runs:
  student-none: null
  gmi-*: {}
  # on what it learnt
  plgmi-*: {}
  plus-*: {method: plus, side_information: models/signatures/*.pt, of: [trapmid]}
"""


def test_a_row_with_a_star_is_a_row_of_every_target(folder):
    (folder / "stars.yaml").write_text(STARS, encoding="utf-8")
    made = plain(compose("stars", [4], folder))
    assert list(made["attack_runs"]) == [
        "gmi-none-4",
        "plgmi-none-4",
        "gmi-trapmid-4",
        "plgmi-trapmid-4",
        "plus-trapmid-4",
    ]
    assert made["attack_runs"]["plgmi-none-4"] == {
        "attack": "plgmi",
        "method": "plgmi",
        "target": "none-4",
        "queried_model": "models/targets/none-4",
        "side_information": "models/signatures/none-4.pt",
        "prior": "models/priors/guided/plgmi-none-4",
        "verifier": "weights/none",
        "identity": "weights/none",
        "second_evaluator": "weights/none",
        "data": "other",
        "seed": 4,
        "set": {"lr": 0.5},
    }
    assert (
        made["attack_runs"]["plus-trapmid-4"]["side_information"]
        == "models/signatures/trapmid-4.pt"
    )


def test_a_row_that_is_written_out_is_merged_onto_its_copy(folder):
    (folder / "stars.yaml").write_text(STARS, encoding="utf-8")
    made = plain(compose("stars", [4], folder))
    own = made["guided_priors"]["plgmi-none-4"]
    assert (own["data"], own["side_information"]) == ("other", "models/signatures/none-4.pt")
    found = {row: block["top_n"] for row, block in made["signatures"].items()}
    assert found == {"none-4": 4, "trapmid-4": 5}


def test_null_takes_a_row_away(folder):
    gone = STARS.replace("plgmi-none: {data: other}", "plgmi-none: null")
    gone = gone.replace("  gmi-*: {}\n", "  gmi-*: {}\n  gmi-trapmid: null\n")
    (folder / "stars.yaml").write_text(gone, encoding="utf-8")
    made = plain(compose("stars", [4], folder))
    assert "gmi-trapmid-4" not in made["attack_runs"] and "gmi-none-4" in made["attack_runs"]
    assert made["guided_priors"].keys() == {"plgmi-trapmid-4"}
    assert made["surrogates"] == {}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "of: [trapmid]",
            "of: [bido]",
            r"attack_runs\.plus-\*\.of: no \['bido'\]; there are none, trap",
        ),
        ("of: [trapmid]", "of: bido", r"attack_runs\.plus-\*\.of: no \['bido'\]"),
        ("trapmid: {top_n: 5}", "trapmid: {of: [none]}", r"signatures\.trapmid\.of: belongs to a"),
        ("gmi-*: {}", "gmi-*: 3", r"attack_runs\.gmi-\*: must be a mapping"),
        (
            "gmi-*: {}",
            "gmj-none: null",
            r"attack_runs\.gmj-none: null takes a row away, and there is",
        ),
        (
            "attack_runs:\n",
            "targets: {bido: null}\nattack_runs:\n",
            r"targets\.bido: null takes a row away",
        ),
        (
            "attack_runs:\n",
            "defaults: {cels: {}}\nattack_runs:\n",
            r"defaults: no section of rows \['cels'\]",
        ),
        (
            "attack_runs:\n",
            "defaults: 3\nattack_runs:\n",
            r"defaults: must be mappings, defaults is 3",
        ),
        (
            "attack_runs:\n",
            "defaults: {targets: 3}\nattack_runs:\n",
            r"defaults: must be mappings, targets is 3",
        ),
    ],
)
def test_a_wrong_star_is_one_line(folder, old, new, words):
    (folder / "stars.yaml").write_text(STARS.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ProfileError, match=words) as error:
        compose("stars", folder=folder)
    assert "\n" not in str(error.value)
