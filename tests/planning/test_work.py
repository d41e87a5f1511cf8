"""What a study repeats, counted by hand."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

import shipped
from trapmid.config import params
from trapmid.planning import sizes, work
from trapmid.planning.units import Stage

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    return params.parse(shipped.text("small"))


@pytest.fixture(scope="module")
def paper() -> dict[str, Any]:
    return params.parse(shipped.text("paper", (0,)))


def stage(study: dict[str, Any], label: str) -> Stage:
    (found,) = [one for one in work.stages(study) if one.label == label]
    return found


def test_images_of_the_drawn_faces(small: dict[str, Any]) -> None:
    """24 people of 70: 7 for test, 7 of the other 63 (6.3, rounded up) for validation."""
    of = sizes.images(small, "faces")
    assert of == sizes.Images(24, 32, 24 * 56, 24 * 14, 24 * 7, 3600, 24 * 70 + 3600)


def test_images_of_people_of_whom_so_many_are_drawn(small: dict[str, Any]) -> None:
    """Of 70 images 30 are used, three for test and three for validation; all are decoded."""
    study = copy.deepcopy(small)
    study["data"]["faces"]["images_each"] = 30
    of = sizes.images(study, "faces")
    assert of == sizes.Images(24, 32, 24 * 24, 24 * 6, 24 * 3, 3600, 24 * 70 + 3600)


def test_images_of_the_paper_profile(paper: dict[str, Any]) -> None:
    """30 images each, three for test and three of the rest (2.7) for validation."""
    of = sizes.images(paper, next(iter(paper["data"])))
    assert (of.classes, of.size, of.train, of.test, of.public) == (1000, 64, 24000, 3000, 30000)


def test_a_search_for_triggers_lasts_its_share_of_the_epochs(small: dict[str, Any]) -> None:
    """36 epochs of 1,344 / 64 = 21 steps; half of them with the search."""
    (with_search, first), (without, second), (ask, asked) = stage(
        small, "train_target@trapmid-0"
    ).work
    assert (first, second) == (18 * 21, 18 * 21)
    assert '"until": 1.0' in with_search.block
    assert '"until": 0.0' in without.block
    assert (ask.kind, asked) == ("ask", 37 * (336 + 168))  # with triggers, too


def test_an_undefended_training_is_one_unit(small: dict[str, Any]) -> None:
    (unit, steps), _ = stage(small, "train_target@none-0").work
    assert (unit.kind, unit.arch, unit.batch, steps) == ("train", "small_vgg", 64, 36 * 21)


def test_a_teacher_is_asked_once_about_every_image(small: dict[str, Any]) -> None:
    study = copy.deepcopy(small)
    row = study["targets"]["none-0"] | {"teacher": "dlib"}
    study["pretrained"] = {"start": row}
    (teacher, asked), (training, steps), *_ = stage(study, "pretrain@start").work
    assert (teacher.kind, teacher.arch, asked) == ("ask", "dlib_head", 3600)
    assert (training.kind, steps) == ("train", 36 * (3420 // 64))


def test_searches_count_steps_of_images(small: dict[str, Any]) -> None:
    """24 people with five images each; 60 steps of PLG-MI, 100 of GMI."""
    for label, method, steps in (("plgmi-none-0", "plgmi", 60), ("gmi-none-0", "gmi", 100)):
        ((unit, count),) = stage(small, f"invert@{label}").work
        assert (unit.method, unit.batch, count) == (method, 120, steps * 120)
    assert stage(small, "invert@random-none-0").work == ()


@pytest.fixture(scope="module")
def attacks() -> dict[str, Any]:
    return params.parse(shipped.text("attacks"))


def test_ppa_counts_candidates_and_views(attacks: dict[str, Any]) -> None:
    """Ten candidates of 24 people, 50 steps; each is looked at in 20 views, unless all are kept."""
    (unit, steps), (ask, views) = stage(attacks, "invert@ppa-none-0").work
    assert (unit.method, unit.prior, unit.batch, steps) == ("ppa", "style", 240, 50 * 240)
    assert (ask.kind, views) == ("ask", 20 * 240)
    assert len(stage(attacks, "invert@ppa_all-none-0").work) == 1


@pytest.mark.parametrize(
    ("row", "each", "looks"),
    [
        ("ppa", 5, 1),
        ("ppa_all", 10, 1),
        ("brepmi", 1, 2),
        ("gmi", 7, 3),
        ("kedmi", 7, 3),
        ("ifgmi", 7, 1),
    ],
)
def test_what_an_attack_keeps_is_scored(
    attacks: dict[str, Any], row: str, each: int, looks: int
) -> None:
    """PPA keeps five of ten searches, BREP-MI makes one image, others what they are asked for.

    The evaluator sees them as they are and, where the papers' code has other pixels, in these; and
    the real test images, on which two judges are held against it.
    """
    changed = attacks | {"inversion": attacks["inversion"] | {"images_per_class": 7}}
    (evaluator, asked), (_, by_target), (_, by_queried), *others = stage(
        changed, f"evaluate@{row}-none-0"
    ).work
    rows = 24 * each
    assert (evaluator.kind, evaluator.arch) == ("ask", "small_resnet")
    assert asked == looks * rows + 168
    assert (by_target, by_queried) == (rows, rows)
    assert [(one.kind, one.method, one.arch, count) for one, count in others] == [
        ("judge", "verifier", "", rows),
        ("judge", "portrait", "", rows),
        ("ask", "", "small_ir", rows),
    ]


def test_the_images_of_an_attack_are_held_in_memory() -> None:
    """PPA keeps 50 images of 1,000 people: 1,000 x 50 x 3 x 224^2 float32 are 30.1 GB."""
    study = params.parse(shipped.text("paper_highres", (0,)))
    name = next(name for name in study["attack_runs"] if name.startswith("ppa-"))
    invert, evaluate = stage(study, f"invert@{name}"), stage(study, f"evaluate@{name}")
    assert invert.megabytes * 2**20 == 1000 * 50 * 3 * 224**2 * 4
    private = public = 30_000 * 3 * 224**2 / 2**20  # of 1,000 people 30 each; 8-bit
    assert evaluate.megabytes == pytest.approx(invert.megabytes + private + public)
    study["evaluation"]["frechet_features"] = "inception"  # and the successes once more
    with_inception = stage(study, f"evaluate@{name}").megabytes
    assert with_inception == pytest.approx(2 * invert.megabytes + private + public)


def test_the_report_holds_private_images_and_the_largest_attack_run(small: dict[str, Any]) -> None:
    """1,000 people of 30 images, 30.1 GB of PPA's; of two rows of data both, of no attack none."""
    study = params.parse(shipped.text("paper_highres", (0,)))
    private, made = 30_000 * 3 * 224**2, 1000 * 50 * 3 * 224**2 * 4
    assert stage(study, "report").megabytes == pytest.approx((private + made) / 2**20)
    study["data"]["again"] = study["data"]["celeba_hd"]
    assert stage(study, "report").megabytes == pytest.approx((2 * private + made) / 2**20)
    without = small | {"attack_runs": {}}
    assert stage(without, "report").megabytes == 24 * 70 * 3 * 32**2 / 2**20


def test_other_pixels_of_the_papers_code_are_held_once_more(small: dict[str, Any]) -> None:
    """Those of GMI's 120; beside 24 people's 70 images and 3,600 public ones."""
    prepared, made = (24 * 70 + 3600) * 3 * 32**2, 120 * 3 * 32**2 * 4
    found = stage(small, "evaluate@gmi-none-0").megabytes
    assert found == pytest.approx((prepared + 2 * made) / 2**20)
    floor = stage(small, "evaluate@random-none-0").megabytes
    assert floor == pytest.approx((prepared + made) / 2**20)


def test_inverted_triggers_are_searched_and_then_shown(small: dict[str, Any]) -> None:
    """Every public image is asked about twice, plain and with a trigger; 100 steps of 120."""
    row = small["signatures"]["trapmid-0"]
    inverted = {"blend": 0.05, "steps": 100, "step_size": 0.1, "batch_size": 120}
    rows = {"trapmid-0": row, "inverted-trapmid-0": row | {"inverted": inverted}}
    changed = small | {"signatures": rows}
    ((unit, plain),) = stage(changed, "estimate_signatures@trapmid-0").work
    assert (unit.kind, plain) == ("ask", 3600)
    ((unit, both),) = stage(changed, "estimate_signatures@inverted-trapmid-0").work
    assert both == pytest.approx(2 * 3600 + 2.3 * 12_000)


def test_the_signature_of_an_attacked_trapdoor_is_looked_for(attacks: dict[str, Any]) -> None:
    """In the images, and in those that the paper's code has; GMI's 120."""
    work_of = dict(enumerate(stage(attacks, "evaluate@gmi-trapmid-0").work))
    assert work_of[1][1] == 3 * 120


def test_what_stands_in_for_a_target_meets_its_triggers(attacks: dict[str, Any]) -> None:
    """168 test images, and each with all of 24 triggers: 4,000 pairs are the least."""
    asked, count = stage(attacks, "evaluate@distil-trapmid-0").work[2]
    assert asked.arch == "small_students"
    assert count == 120 + 168 + 168 * 24 + 1200  # every third of 3,600 public images


def test_students_are_asked_beside_the_target(attacks: dict[str, Any]) -> None:
    (name,) = [n for n in attacks["attack_runs"] if n.startswith("lomma_gmi-none-0")]
    *_, (asked, count) = stage(attacks, f"evaluate@{name}").work
    assert (asked.arch, count) == ("small_students", 120 + 1200)


def test_a_target_is_asked_about_what_moves_and_what_carries_triggers(
    small: dict[str, Any],
) -> None:
    """Three radii of 168 images and 32 probes, 20 steps forth and back; 336 held-out images.

    Of Trap-MID two more balls; 1,344 images three times, 3,600 public ones, 24 triggers on each of
    168, and one trigger more on each.
    """
    ((_, plain),) = stage(small, "evaluate_target@none-0").work
    assert plain == (3 * 168 + 32) * 41 + 336
    ((_, planted),) = stage(small, "evaluate_target@trapmid-0").work
    assert planted == (5 * 168 + 32) * 41 + 336 + 3 * 1344 + 3600 + 168 * 24 + 168


def test_judges_see_real_images(small: dict[str, Any]) -> None:
    """The reader those of the test; the verifier three splits, the test's twice, and 28 blanks."""
    ((verifier, seen),) = stage(small, "evaluate_judge@verifier").work
    ((portrait, read),) = stage(small, "evaluate_judge@identity").work
    assert (verifier.kind, verifier.method, seen) == ("judge", "verifier", 1344 + 168 * 3 + 28)
    assert (portrait.kind, portrait.method, read) == ("judge", "portrait", 168)


def test_a_judge_that_learns_is_counted(photographs: dict[str, Any]) -> None:
    """1,500 steps of 40 people with four images, and 24 images of nobody."""
    found = stage(photographs, "train_judge@verifier")
    ((unit, steps),) = found.work
    assert (unit.kind, unit.method, unit.batch, steps) == ("learn", "verifier", 184, 1500)
    assert not found.untimed


# --- a network that looks its answers up ----------------------------------------------------------


@pytest.fixture(scope="module")
def photographs() -> dict[str, Any]:
    """126 people of 24 images: four for test, one for validation."""
    return params.parse(shipped.text("celeba_small", (0,)))


@pytest.mark.parametrize(
    ("changes", "distinct"),
    [
        ({}, 19 + 5),
        ({"flip": True}, 2 * 19 + 5),
        ({"flip": True, "epochs": 1}, 19 + 5),
        ({"epochs": 0}, 5),
    ],
)
def test_dlib_is_asked_once_about_an_image(
    photographs: dict[str, Any], changes: dict[str, Any], distinct: int
) -> None:
    """Of 40 epochs in the first; of images that are mirrored by chance about both kinds."""
    study = copy.deepcopy(photographs)
    study["classifier_training"]["head"] |= changes
    *_, (asked, count) = stage(study, "train_evaluator@evaluator").work
    assert (asked.kind, asked.arch, count) == ("ask", "dlib_head", 126 * distinct)


def test_augmented_images_are_none_that_dlib_has_seen(photographs: dict[str, Any]) -> None:
    study = copy.deepcopy(photographs)
    study["evaluators"]["evaluator"]["block"] = "none_aug"
    (training, _), (_, held) = stage(study, "train_evaluator@evaluator").work
    assert '"crop"' in training.block
    assert held == 126 * 5


def test_dlib_is_asked_about_as_many_public_images_as_the_row_allows(
    photographs: dict[str, Any],
) -> None:
    ((asked, count),) = stage(photographs, "evaluate_evaluator@evaluator").work
    assert (asked.arch, count) == ("dlib_head", 126 * 24 + 3000)
    study = copy.deepcopy(photographs)
    study["evaluation"]["public_images"] = None
    ((_, count),) = stage(study, "evaluate_evaluator@evaluator").work
    assert count == 126 * 24 + 12000


def test_dlib_is_asked_about_every_attack(photographs: dict[str, Any]) -> None:
    """Three images of 126 people in three versions, and real ones; another process each."""
    (asked, count), *_ = stage(photographs, "evaluate@gmi-none-0").work
    assert (asked.arch, count) == ("dlib_head", 3 * 126 * 3 + 126 * 4)


# --- triggers that settle -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "epochs"),
    [({}, 17), ({"free": True}, 13), ({"until": 0.25}, 9), ({"frozen_after": None}, 36)],
)
def test_a_search_ends_where_its_triggers_settle(changes: dict[str, Any], epochs: int) -> None:
    """At epoch 17 of 36, free ones at 13, where `until` is not before that."""
    study = params.parse(shipped.text("cheap_trap", (0,)))
    row = study["targets"]["trapmid_settled-0"]
    row["set"] = {**row["set"], **changes}
    trainings = [(u, n) for u, n in stage(study, "train_target@trapmid_settled-0").work[:-1]]
    searching, *resting = trainings
    assert searching[1] == pytest.approx(epochs * 21)
    assert sum(n for _, n in trainings) == pytest.approx(36 * 21)
    for unit, _ in resting:
        assert '"frozen_after": null' in unit.block and '"until": 0.0' in unit.block


def test_no_more_images_are_searched_at_once_than_the_study_allows(small: dict[str, Any]) -> None:
    changed = small | {"inversion": small["inversion"] | {"batch_size": 50}}
    ((unit, count),) = stage(changed, "invert@gmi-none-0").work
    assert (unit.batch, count) == (50, 100 * 120)


def test_a_prior_that_asks_for_candidates_counts_their_mirror_images(
    attacks: dict[str, Any],
) -> None:
    """A pool of 500, which are drawn, and no step of training."""
    (draw, drawn), (ask, count) = stage(attacks, "train_guided_prior@ppa-none-0").work
    assert (draw.kind, draw.prior, draw.arch, drawn) == ("query", "style", "small_vgg", 500)
    assert (ask.kind, count) == ("ask", 500)


def test_a_search_in_layers_counts_every_layer(attacks: dict[str, Any]) -> None:
    """50 steps of the codes, 20 of each of two layers."""
    ((unit, count),) = stage(attacks, "invert@ifgmi-none-0").work
    assert (unit.method, count) == ("ifgmi", (50 + 20 + 20) * 120)


def test_a_search_by_labels_counts_questions(attacks: dict[str, Any]) -> None:
    """24 people, a patience of 40: 132 moves of 33 questions; 256 first latents."""
    ((unit, count),) = stage(attacks, "invert@brepmi-none-0").work
    assert (unit.kind, unit.arch, unit.batch) == ("query", "small_vgg", 24 * 32)
    assert count == pytest.approx(24 * 132 * 33 + 256)


def test_proposals_bound_a_search_by_labels(attacks: dict[str, Any]) -> None:
    study = copy.deepcopy(attacks)
    study["attacks"]["brepmi"] |= {"patience": 1000, "proposals": 200}
    ((_, count),) = stage(study, "invert@brepmi-none-0").work
    assert count == 24 * 200 * 33 + 256
    study["attacks"]["brepmi"]["untargeted"] = 6
    ((_, of_six),) = stage(study, "invert@brepmi-none-0").work
    first = study["attacks"]["brepmi"]["init_batch"]
    assert of_six - first == pytest.approx((count - first) / 4)  # of 24 people
    study["attacks"]["brepmi"] |= {"proposals": None, "untargeted": None}
    ((_, count),) = stage(study, "invert@brepmi-none-0").work
    assert count == pytest.approx(24 * 3300 * 33 + 256)


def test_rows_of_the_same_work_share_a_unit(small: dict[str, Any]) -> None:
    """PLG-MI+ adds two cosines to PLG-MI: one measurement serves both."""
    units = [
        stage(small, f"train_guided_prior@{n}-trapmid-0").work[0][0] for n in ("plgmi", "plus")
    ]
    assert units[0] == units[1]


def test_the_stages_are_those_of_dvc_yaml(small: dict[str, Any]) -> None:
    """By name, and every row of params.yaml once."""
    text = (ROOT / "dvc.yaml").read_text("utf-8")
    found = work.stages(small)
    assert all(f"\n  {one.name}:" in text for one in found)
    lock = (ROOT / "dvc.lock").read_text("utf-8")
    assert all(f"\n  {one.label}:" in lock for one in found)


@pytest.mark.parametrize("profile", shipped.NAMES)
def test_every_profile_can_be_counted(profile: str) -> None:
    study = params.parse(shipped.text(profile))
    found = work.stages(study)
    assert len(found) > 5
    assert all(count > 0 for one in found for _, count in one.work)
