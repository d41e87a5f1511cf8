"""Rows repeated per seed, and what they refer to."""

from __future__ import annotations

import pytest
from texts import plain

from trapmid.profiles.compose import compose
from trapmid.profiles.sections import FANNED, ProfileError


def test_an_init_from_a_repeated_row_follows_the_seed(folder):
    made = plain(compose("small", [4], folder))
    assert made["targets"]["trapmid-4"]["init"] == "models/targets/none-4/model.pt"


def test_every_product_follows_the_seed(folder):
    made = plain(compose("small", [4], folder))
    row = made["attack_runs"]["student-none-4"]
    assert row["method"] == "plgmi" and row["queried_model"] == "models/surrogates/student-none-4"
    assert row["side_information"] == "models/signatures/trapmid-4.pt"
    assert made["signatures"]["trapmid-4"]["leak"] == "models/leaks/trapmid-4.pt"


def test_seeds_multiply_rows_and_change_none(folder):
    one = plain(compose("small", [0], folder))
    three = plain(compose("small", [0, 1, 2], folder))
    assert len(three["attack_runs"]) == 3 * len(one["attack_runs"])
    for section in FANNED:
        for row, block in one[section].items():
            assert three[section][row] == block
    assert three["seeds"] == [0, 1, 2]


@pytest.mark.parametrize("seeds", [[], [1, 1], [-1], [True], ["0"], 3])
def test_wrong_seeds_are_refused(folder, seeds):
    with pytest.raises(ProfileError, match="small: seeds: must be distinct whole numbers"):
        compose("small", seeds, folder)
