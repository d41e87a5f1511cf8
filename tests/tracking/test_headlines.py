"""What MLflow's pages show first."""

from __future__ import annotations

import pytest

import fake_study
from trapmid.tracking.headlines import agreement, sectioned, with_intervals
from trapmid.tracking.values import numbers


def test_the_ends_of_an_interval_stand_beside_its_number():
    scores = {
        "aa1": 0.5,
        "n": 100.0,
        "intervals.aa1.low": 0.4,
        "intervals.aa1.high": 0.6,
        "intervals.aa1.n": 20.0,
        "ceiling.intervals.aa5.low": 0.9,
        "ceiling.intervals.aa5.n": 20.0,
        "own_intervals.n": 3.0,
    }
    assert with_intervals(scores) == {
        "aa1": 0.5,
        "n": 100.0,
        "aa1.low": 0.4,
        "aa1.high": 0.6,
        "ceiling.aa5.low": 0.9,
        "own_intervals.n": 3.0,
    }


def test_what_is_measured_at_several_radii_has_a_name_each():
    caught = {"recall": 0.75, "n": 60, "intervals": {"recall": {"low": 0.7, "high": 0.8, "n": 9}}}
    ball = {"norm": "linf", "radius": 0.0314, "every": caught, "changed": None}
    scores = {"adversarial": (ball, ball | {"norm": "l2", "radius": 0.5}), "per_class": [1.0, 2.0]}
    found = with_intervals(numbers(scores))
    assert found["adversarial.linf_0.0314.every.recall"] == 0.75
    assert found["adversarial.linf_0.0314.every.recall.low"] == 0.7
    assert found["adversarial.l2_0.5.every.n"] == 60
    assert not any("per_class" in name or "changed" in name for name in found)


def test_a_number_is_in_one_section():
    found = sectioned(
        {"n": 9.0, "judges.agree": 0.25, "judges.identity.groups.skin.farther": 0.5, "aa1": 0.75}
    )
    assert list(found.items()) == [
        ("Main/aa1", 0.75),
        ("Main/agree", 0.25),
        ("n", 9.0),
        ("Traits/judges.identity.groups.skin.farther", 0.5),
    ]


def test_what_all_judges_agree_on_is_the_highest_mean_over_seeds():
    params = fake_study.params(seeds=(0, 1))
    shares = {
        "gmi-none-0": 0.2,
        "gmi-none-1": 0.4,
        "plgmi-none-0": 0.5,  # the highest single one
        "plgmi-none-1": 0.0,
        "gmi-trapmid-0": 0.0,
        "random-none-0": 0.9,  # attacks nothing
    }
    assert agreement(params, shares) == {"none": pytest.approx(0.3), "trapmid": 0.0}


def test_an_attack_on_a_part_of_the_people_counts_where_there_is_no_other():
    params = fake_study.params(seeds=(0,))
    shares = {"gmi-none-0": 0.2, "plgmi-none-0": 0.5}
    assert agreement(params, shares, {"plgmi-none-0"}) == {"none": 0.2}
    assert agreement(params, shares, {"plgmi-none-0", "gmi-none-0"}) == {"none": 0.5}


def test_a_defence_on_other_data_is_another_one():
    params = fake_study.params(seeds=(0,))
    params["targets"]["none_aug-0"] |= {"defense": "none", "data": "digits", "arch": "wide"}
    params["attack_runs"]["gmi-none_aug-0"]["data"] = "digits"
    shares = {"gmi-none-0": 0.25, "gmi-none_aug-0": 0.5}
    assert agreement(params, shares) == {"none": 0.25, "none@digits@wide": 0.5}
