"""Which numbers are marked, by hand; and that a study of like numbers has no mark."""

from __future__ import annotations

from dataclasses import replace

import pytest

import fake_study
from trapmid.report.marks import Marks, of_row


@pytest.fixture
def study():
    return fake_study.params()


@pytest.fixture
def attack_runs(study):
    return fake_study.scores(study)[2]


def leave_out(scores, identities, left_out, per_person=1):
    protocol = replace(scores.protocol, identities=identities, images_per_identity=per_person)
    return replace(scores, protocol=protocol, left_out=left_out)


def judge(attack_runs, evaluator, *rows):
    for row in rows:
        protocol = replace(attack_runs[row].protocol, evaluator=evaluator)
        attack_runs[row] = replace(attack_runs[row], protocol=protocol)


def test_like_numbers_have_no_mark(study, attack_runs):
    """The floor is no attack, whoever judged it."""
    judge(attack_runs, "other", "random-none-0")
    marks = Marks.of(study, attack_runs)
    assert not marks.partial and not marks.several and marks.notes() == [] and not marks.failed
    assert marks.named() == ({}, {}, {})
    assert marks.dagger("brepmi", "none") == marks.judges("brepmi", "none") == ""


def test_people_are_counted_not_images(study, attack_runs):
    """Five of twenty people with three images each leave out 45 images."""
    attack_runs["brepmi-none-0"] = leave_out(attack_runs["brepmi-none-0"], 5, 45, per_person=3)
    attack_runs["brepmi-none-1"] = leave_out(attack_runs["brepmi-none-1"], 4, 16)
    marks = Marks.of(study, attack_runs)
    assert marks.partial == {("brepmi", "none"): ["5 of 20", "4 of 20"]}
    assert marks.dagger("brepmi", "none") == "†" and marks.dagger("brepmi", "trapmid") == ""
    assert marks.partial_on("none") == ["brepmi"] and marks.partial_on("trapmid") == []
    (note,) = marks.notes()
    assert note.startswith("†: BREP-MI attacked 5 of 20, 4 of 20 people. ")
    assert marks.among([("brepmi", "trapmid"), ("gmi", "none")]).notes() == []
    assert marks.among([("brepmi", "none")]).notes() == [note]


def test_one_seed_is_enough_for_a_dagger(study, attack_runs):
    attack_runs["gmi-trapmid-1"] = leave_out(attack_runs["gmi-trapmid-1"], 1, 19)
    assert Marks.of(study, attack_runs).partial == {("gmi", "trapmid"): ["1 of 20"]}


def test_a_failed_check_has_a_star_before_the_dagger(study, attack_runs):
    """One seed is enough; a check of the judges says nothing of the attack."""
    attack_runs["gmi-trapmid-1"] = replace(
        leave_out(attack_runs["gmi-trapmid-1"], 1, 19), checks={"target_agreement": False}
    )
    judged = replace(attack_runs["gmi-none-0"], checks={"judges_agree_on_real": False})
    attack_runs["gmi-none-0"] = judged
    attack_runs["random-none-0"] = replace(
        attack_runs["random-none-0"], checks={"floor_is_chance": False}
    )
    marks = Marks.of(study, attack_runs)
    assert marks.failed == {("gmi", "trapmid")}
    assert marks.behind("gmi", "trapmid") == "*†" and marks.behind("gmi", "none") == ""
    assert marks.among([("gmi", "trapmid")]).failed == {("gmi", "trapmid")}
    assert not marks.among([("gmi", "none")]).failed
    assert of_row(attack_runs["gmi-trapmid-1"]) == "*†"
    assert of_row(attack_runs["gmi-trapmid-0"]) == of_row(judged) == ""


def test_an_attack_of_one_evaluator_is_named_as_a_column(study, attack_runs):
    judge(attack_runs, "wide", *(row for row in attack_runs if row.startswith("gmi-")))
    marks = Marks.of(study, attack_runs)
    assert marks.named().attacks == {
        "gmi": "GMI (wide)",
        "plgmi": "PLG-MI (evaluator)",
        "plgmi_distil": "PLG-MI on a student (evaluator)",
        "brepmi": "BREP-MI (evaluator)",
    }
    assert not marks.named().defenses and not marks.named().cells
    assert marks.judges("gmi", "none") == "wide" and marks.judges("plgmi", "none") == "evaluator"
    assert set(marks.judges_of("none")) == {"wide", "evaluator"}
    assert len(marks.notes()) == 1 and "different evaluators" in marks.notes()[0]
    assert marks.among([("gmi", "none"), ("gmi", "trapmid")]).notes() == []


def test_a_defence_of_one_evaluator_is_named_as_a_line(study, attack_runs):
    judge(attack_runs, "wide", *(row for row in attack_runs if "-trapmid-" in row))
    named = Marks.of(study, attack_runs).named()
    assert named.defenses == {
        "none": "No defence (evaluator)",
        "none_aug": "No defence, Trap-MID's augmentation (control) (evaluator)",
        "trapmid": "Trap-MID (wide)",
    }
    assert not named.attacks and not named.cells


def test_else_every_number_is_named(study, attack_runs):
    """Both evaluators of a mean over seeds are there."""
    judge(attack_runs, "wide", "gmi-trapmid-0")
    named = Marks.of(study, attack_runs).named()
    assert not named.defenses and not named.attacks
    assert named.cells["gmi", "trapmid"] == "wide, evaluator"
    assert named.cells["gmi", "none"] == "evaluator" and len(named.cells) == 12
