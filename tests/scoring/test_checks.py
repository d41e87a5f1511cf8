"""Every check can pass, and every check can fail."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fake_study
from trapmid.config.evaluation import WEAK, Checks
from trapmid.metrics.statistics import intervals
from trapmid.scoring import checks, data_checks, judge_checks, study_checks
from trapmid.scoring.checks import Check, Known
from trapmid.scoring.scores import AttackScores, JudgeScores
from trapmid.types import Output, Target

BOUNDS = Checks(
    evaluator_accuracy=0.9,
    target_accuracy=0.8,
    target_agreement=0.7,
    stand_in_agreement=0.6,
    positive_control=0.5,
    judges_agree_on_real=0.8,
    reader_recognises_real=0.8,
    trapdoor_success=0.99,
)


class Linear(Target):
    num_classes = 3

    def __init__(self, change: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 3)
        self.change = change
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Output:
        features = images.flatten(1)
        return Output(self.change(self.layer(features)), features)


class Other(Linear):
    """Another architecture."""


class Within(Other):
    """A network of another class around one, as MID's bottleneck."""

    def __init__(self, trunk: Target) -> None:
        super().__init__()
        self.trunk = trunk


another = checks.evaluator_is_another_network


IMAGES = torch.rand(6, 3, 2, 2, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


def noisy(logits: Tensor) -> Tensor:
    return logits + torch.rand_like(logits)


def but_one(logits: Tensor) -> Tensor:
    """The gradient of one image is masked."""
    return torch.cat([logits[:1].detach(), logits[1:]])


def manifest() -> list[dict[str, str]]:
    """Two private people with every split, two public ones of which one is unknown."""
    rows = [
        {"identity": person, "split": split, "hash": f"{person}-{split}"}
        for person in ("14", "15")
        for split in ("train", "val", "test")
    ]
    return [
        *rows,
        {"identity": "900", "split": "public", "hash": "p0"},
        {"identity": "", "split": "public", "hash": "p1"},
    ]


def disjoint(index: int, row: int, **changes: str) -> Check:
    rows = manifest()
    rows[row].update(changes)
    return data_checks.data_disjoint(rows)[index]


STUDY = fake_study.params(seeds=(0,))
FAKE = fake_study.scores(STUDY)


def attack_run(**changes: Any) -> AttackScores:
    checked = dict.fromkeys(
        ("evaluator_is_another_network", "every_class_attacked", "target_agreement"), True
    )
    usual = replace(FAKE[2]["plgmi-none-0"], aa1=0.9, checks=checked)
    return replace(usual, **changes)


def scores() -> fake_study.Scores:
    """A sound study of one evaluator, two targets and three attack runs."""
    network = dict.fromkeys(
        ("checkpoint_verified", "logits_not_probabilities", "deterministic"), True
    )
    data = dict.fromkeys(
        (
            "gradients_reach_images",
            "attack_strength",
            "private_public_disjoint",
            "splits_disjoint",
        ),
        True,
    )
    evaluators = {
        "evaluator": replace(FAKE[0]["evaluator"], checks={**network, "evaluator_accuracy": True})
    }
    trapped = {"defense_is_active": True, "trapdoor_success": True}
    none, trapmid = FAKE[1]["none-0"], FAKE[1]["trapmid-0"]
    targets = {
        "none-0": replace(none, checks={**network, **data, "undefended_accuracy": True}),
        "trap-0": replace(trapmid, checks={**network, **data, **trapped}),
    }
    floor = {
        "evaluator_is_another_network": True,
        "every_class_attacked": True,
        "floor_is_chance": True,
    }
    attack_runs = {
        "plgmi-none-0": attack_run(),
        "plgmi-trap-0": attack_run(target="trap-0", aa1=0.1),
        "random-none-0": attack_run(attack="random", aa1=0.05, checks=floor),
    }
    return evaluators, targets, attack_runs


def with_judges() -> tuple[Any, Any, Any, dict[str, JudgeScores]]:
    """The same with two judges, one of whom verifies, and an attack that asks a student."""
    evaluators, targets, attack_runs = scores()
    run = attack_runs["plgmi-none-0"]
    more = {"judges_agree_on_real": True, "stand_in_agreement": True}
    attack_runs["plgmi-none-0"] = replace(
        run, checks={**run.checks, **more}, stand_in_agreement=0.75
    )
    return evaluators, targets, attack_runs, fake_study.judge_scores(STUDY)


def test_a_sound_study_passes_everything() -> None:
    found = checks.verdicts(study_checks.study(*scores(), BOUNDS))
    of_some = (*checks.OF_JUDGES, *checks.OF_STAND_INS)
    named = [name for name in checks.EXPLANATIONS if name not in of_some]
    assert found == dict.fromkeys(named, True)
    assert list(found) == named
    evaluators, targets, attack_runs, judges = with_judges()
    found = checks.verdicts(study_checks.study(evaluators, targets, attack_runs, BOUNDS, judges))
    assert found == dict.fromkeys(checks.EXPLANATIONS, True)
    assert list(found) == list(checks.EXPLANATIONS)


def reaches(name: str, hits: int, bound: float) -> Check:
    return checks.reaches(name, hits / 200, intervals.wilson(hits, 200), bound)


@pytest.mark.parametrize("name", checks.OF_JUDGES)
def test_a_judge_in_doubt_is_named(name: str) -> None:
    evaluators, targets, attack_runs, judges = with_judges()
    (row,) = {
        place: scores
        for place, scores in (*attack_runs.items(), *judges.items())
        if name in scores.checks
        if place != "identity" or name == "reader_recognises_real"
    }.items()
    row[1].checks[name] = False
    found = {
        c.name: c for c in study_checks.study(evaluators, targets, attack_runs, BOUNDS, judges)
    }
    assert [key for key, check in found.items() if not check.passed] == [name]
    assert row[0] in found[name].detail


WRONG = torch.tensor([True, True, True, True, False])

ONE = torch.arange(5)

ROW_CHECKS = {
    "judges_agree_on_real": (
        lambda: judge_checks.judges_agree_on_real(WRONG, {"a": ~WRONG ^ WRONG}, ONE, 0.8),
        lambda: judge_checks.judges_agree_on_real(WRONG, {"a": ~WRONG}, ONE, 0.8),
        lambda: judge_checks.judges_agree_on_real(WRONG, {"a": WRONG.flip(0)}, ONE, 0.8),
        lambda: judge_checks.judges_agree_on_real(WRONG, {"a": WRONG, "b": ~WRONG}, ONE, 0.8),
        # Each of two agrees on four of five, but on others: all three on three.
        lambda: judge_checks.judges_agree_on_real(
            WRONG, {"a": WRONG & (ONE != 0), "b": WRONG & (ONE != 1)}, ONE, 0.8
        ),
        # Four of five images, but all are of one person, and the other's is the fifth.
        lambda: judge_checks.judges_agree_on_real(WRONG, {"a": ~WRONG ^ WRONG}, ONE // 4, 0.8),
        lambda: judge_checks.judges_agree_on_real(WRONG[:0], {"a": WRONG[:0]}, ONE[:0], 0.8),
    ),
    "reader_recognises_real": (
        lambda: judge_checks.reader_recognises_real(0.78, intervals.wilson(39, 50), 0.8),
        lambda: judge_checks.reader_recognises_real(0.6, intervals.wilson(30, 50), 0.8),
        lambda: judge_checks.reader_recognises_real(0.0, intervals.wilson(0, 50), 0.8),
    ),
    "blank_images_refused": (
        lambda: judge_checks.blank_images_refused(0.01, 0.01),
        lambda: judge_checks.blank_images_refused(0.02, 0.01),
        lambda: judge_checks.blank_images_refused(float("nan"), 0.01),
    ),
    "judge_knows_no_private_person": (
        lambda: judge_checks.judge_knows_no_private_person(range(1, 25), range(25, 31), "x"),
        lambda: judge_checks.judge_knows_no_private_person(range(1, 25), {7, 99}, "x"),
        lambda: judge_checks.judge_knows_no_private_person(range(25, 30), range(26), "x"),
        lambda: judge_checks.judge_knows_no_private_person([], {24}, "x"),
    ),
    "checkpoint_verified": (
        lambda: checks.checkpoint_verified(0.9004, 0.9),
        lambda: checks.checkpoint_verified(0.9011, 0.9),
        lambda: checks.checkpoint_verified(0.95, 0.9),
        lambda: checks.checkpoint_verified(0.85, 0.9),  # better than it was is another network, too
        lambda: checks.checkpoint_verified(None, 0.9),
        lambda: checks.checkpoint_verified(True, 1.0),
        lambda: checks.checkpoint_verified(0.95, 0.9, noisy_images=100_000),
        lambda: checks.checkpoint_verified(1.0, 0.9, noisy_images=400),
    ),
    "logits_not_probabilities": (
        lambda: checks.logits_not_probabilities(Linear()(IMAGES).logits),
        lambda: checks.logits_not_probabilities(Linear()(IMAGES).logits.softmax(1)),
        lambda: checks.logits_not_probabilities(torch.zeros(0, 3)),
    ),
    "deterministic": (
        lambda: checks.deterministic(Linear(), IMAGES),
        lambda: checks.deterministic(Linear(noisy), IMAGES),
        lambda: checks.deterministic(Linear().train(), IMAGES),
        lambda: checks.deterministic(Linear(), IMAGES[:0]),
    ),
    "gradients_reach_images": (
        lambda: checks.gradients_reach_images(Linear(), IMAGES, LABELS),
        lambda: checks.gradients_reach_images(Linear(lambda x: x.detach()), IMAGES, LABELS),
        lambda: checks.gradients_reach_images(Linear(lambda x: x * 1e-30 * 1e-30), IMAGES, LABELS),
        lambda: checks.gradients_reach_images(Linear(torch.round), IMAGES, LABELS),
        lambda: checks.gradients_reach_images(Linear(but_one), IMAGES, LABELS),
    ),
    "private_public_disjoint": (
        lambda: data_checks.data_disjoint(manifest())[0],
        lambda: disjoint(0, 6, identity="15"),
        lambda: disjoint(0, 7, hash="14-test"),
        lambda: disjoint(0, 0, identity=""),
        lambda: disjoint(0, 7, hash=""),
        lambda: disjoint(0, 7, split="elsewhere"),
        lambda: data_checks.data_disjoint([])[0],
        lambda: data_checks.data_disjoint(manifest()[:6])[0],
    ),
    "splits_disjoint": (
        lambda: data_checks.data_disjoint(manifest())[1],
        lambda: disjoint(1, 0, hash="14-test"),
        lambda: data_checks.data_disjoint([])[1],
    ),
    "evaluator_is_another_network": (
        lambda: another(Known(Other(), "a1", "c3"), Known(Linear(), "b2", "c3")),  # weights/random
        lambda: another(Known(Linear(), "a1"), Known(Linear(), "b2")),
        lambda: another(Known(Other(), "a1"), Known(Linear(), "a1")),
        lambda: another(Known(Other(), ""), Known(Linear(), "b2")),
        lambda: another(Known(Other(), "a1", "b2"), Known(Linear(), "b2", "c3")),
        lambda: another(Known(Other(), "a1", "c3"), Known(Linear(), "b2", "a1")),
        lambda: another(Known(Linear(), "a1"), Known(Within(Linear()), "b2")),
    ),
    "every_class_attacked": (
        lambda: checks.every_class_attacked(LABELS, LABELS.new_tensor([0, 0, 0, 1, 1, 1]), 3),
        lambda: checks.every_class_attacked(LABELS, LABELS.new_tensor([0, 0, 0, 1, 1, 1]), 4),
        lambda: checks.every_class_attacked(LABELS, torch.zeros_like(LABELS), 3),
        lambda: checks.every_class_attacked(LABELS[:0], LABELS[:0], 3),
        # Two of three classes, without saying so; one image of the third; all said to be left out.
        lambda: checks.every_class_attacked(LABELS[LABELS < 2], torch.tensor([0, 0, 1, 1]), 3),
        lambda: checks.every_class_attacked(LABELS[LABELS < 2], torch.tensor([0, 0, 1, 1]), 3, 1),
        lambda: checks.every_class_attacked(LABELS[:0], LABELS[:0], 3, 6),
    ),
    "floor_is_chance": (
        lambda: checks.floor_is_chance(12, 100, 20),
        lambda: checks.floor_is_chance(30, 100, 20),
        lambda: checks.floor_is_chance(0, 0, 20),
    ),
    "evaluator_accuracy": (
        lambda: reaches("evaluator_accuracy", 190, 0.96),  # 0.95: its interval goes to 0.972
        lambda: reaches("evaluator_accuracy", 190, 0.975),
    ),
    "stand_in_agreement": (
        lambda: checks.at_least("stand_in_agreement", 0.5, 0.5),
        lambda: checks.at_least("stand_in_agreement", 0.49, 0.5),
        lambda: checks.at_least("stand_in_agreement", math.nan, 0.0),
    ),
    "target_agreement": (
        lambda: checks.at_least("target_agreement", 0.95, 0.9),
        lambda: checks.at_least("target_agreement", 0.89, 0.9),
        lambda: checks.at_least("target_agreement", None, 0.0),
    ),
}


@pytest.mark.parametrize("name", ROW_CHECKS)
def test_row_checks_can_pass_and_can_fail(name: str) -> None:
    sound, *broken = ROW_CHECKS[name]
    assert sound().name == name
    assert sound().passed is True, sound().detail
    for case in broken:
        assert case().passed is False, case().detail
        assert "\n" not in case().detail


def test_a_perfect_rate_reaches_a_bound_of_one() -> None:
    assert reaches("trapdoor_success", 200, 1.0).passed is True


def test_one_row_of_logits_may_look_like_probabilities() -> None:
    logits = torch.tensor([[1.0, 0.0, 0.0], [2.0, -1.0, 0.0]])
    assert checks.logits_not_probabilities(logits).passed is True
    assert checks.logits_not_probabilities(logits[:1]).passed is False


def test_a_noisy_target_repeats_its_accuracy_as_well_as_chance_allows() -> None:
    """Two binomial draws of the same images differ by four deviations once in 16,000 times."""
    for rate, images in ((0.9, 100), (0.5, 40), (0.99, 168), (1.0, 60)):
        draws = (
            torch.binomial(torch.full((2, 4000), float(images)), torch.full((2, 4000), rate))
            / images
        )
        passed = [
            checks.checkpoint_verified(a, b, noisy_images=images).passed
            for a, b in draws.T.tolist()
        ]
        assert sum(passed) >= 3995
    assert checks.checkpoint_verified(0.93, 0.9, noisy_images=100).passed


@pytest.mark.parametrize(("n", "num_classes"), [(100, 20), (5000, 1000), (120, 2), (7, 5)])
def test_the_floor_may_be_five_deviations_of_chance_above_it(n: int, num_classes: int) -> None:
    chance = 1 / num_classes
    most = chance + 5 * (chance * (1 - chance) / n) ** 0.5
    for successes in range(min(n, 100) + 1):
        passed = checks.floor_is_chance(successes, n, num_classes).passed
        assert passed is (successes / n <= most)


def test_a_check_of_a_rate_says_both_numbers() -> None:
    assert (
        reaches("trapdoor_success", 190, 0.975).detail == "0.9500 (0.9104 to 0.9726), least 0.975"
    )
    floor = checks.floor_is_chance(30, 100, 20)
    assert floor.detail.startswith("AA-1 0.3000 (0.1") and floor.detail.endswith(", chance 0.0500")


def test_verdicts_and_failures() -> None:
    found = [Check("a", True, "fine"), Check("b", False, "0.1, least 0.5")]
    assert checks.verdicts(found) == {"a": True, "b": False}
    assert checks.failures(found) == {"b": "0.1, least 0.5"}


SEVERAL_ROWS = ("positive_control", "floor_below_ceiling")
LEFT_OUT = (*SEVERAL_ROWS, *checks.OF_JUDGES, *checks.OF_DEFENSES, *checks.OF_STAND_INS)
ROW_NAMES = [name for name in checks.EXPLANATIONS if name not in LEFT_OUT]


@pytest.mark.parametrize("name", ROW_NAMES)
def test_one_failed_row_fails_the_study_and_no_answer_does_too(name: str) -> None:
    parts = scores()
    holders = [row for part in parts for row in part.values() if name in row.checks]
    holders[-1].checks[name] = False
    found = checks.verdicts(study_checks.study(*parts, BOUNDS))
    assert [key for key, passed in found.items() if not passed] == [name]
    for row in holders:
        del row.checks[name]
    assert checks.verdicts(study_checks.study(*parts, BOUNDS))[name] is False


def test_an_attack_that_asked_a_fool_is_named_and_weak() -> None:
    parts = scores()
    parts[2]["plgmi-trap-0"].checks["stand_in_agreement"] = False
    found = {check.name: check for check in study_checks.study(*parts, BOUNDS)}
    assert [name for name, check in found.items() if not check.passed] == ["stand_in_agreement"]
    assert found["stand_in_agreement"].detail == "failed by attack_runs/plgmi-trap-0"
    assert "stand_in_agreement" in WEAK


def test_of_many_rows_that_failed_the_first_are_named() -> None:
    evaluators, targets, attack_runs = scores()
    for number in range(5):
        row = f"gmi-{number}"
        attack_runs[row] = attack_run(checks={"every_class_attacked": False})
    made = study_checks.study(evaluators, targets, attack_runs, BOUNDS)
    detail = {check.name: check.detail for check in made}["every_class_attacked"]
    assert detail == (
        "failed by attack_runs/gmi-0, attack_runs/gmi-1, attack_runs/gmi-2 and 2 more"
    )


def test_a_defense_that_is_turned_off_is_named() -> None:
    parts = scores()
    parts[1]["trap-0"].checks["defense_is_active"] = False
    found = {check.name: check for check in study_checks.study(*parts, BOUNDS)}
    assert [name for name, check in found.items() if not check.passed] == ["defense_is_active"]
    assert found["defense_is_active"].detail == "failed by targets/trap-0"
    assert "defense_is_active" not in WEAK
    del parts[1]["trap-0"].checks["defense_is_active"]  # older scores, or no defence
    assert "defense_is_active" not in checks.verdicts(study_checks.study(*parts, BOUNDS))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("evaluator_accuracy", "1 row: 0.9500, least 0.9"),
        ("undefended_accuracy", "1 row: 0.9100, least 0.8"),
        ("trapdoor_success", "1 row: 0.9950, least 0.99"),
        ("target_agreement", "2 rows: 0.7200 to 0.8400, least 0.7"),
        ("stand_in_agreement", "1 row: 0.7500, least 0.6"),
        ("floor_is_chance", "1 row: 0.0500"),
        ("blank_images_refused", "1 row: 0.0000"),
        ("reader_recognises_real", "1 row: 0.9800, least 0.8"),
        ("splits_disjoint", "2 rows"),
    ],
)
def test_a_check_that_passed_says_what_it_saw(name: str, shown: str) -> None:
    """An image that was not found counts as refused: of 0.9 found, 0.8 agree."""
    evaluators, targets, attack_runs, judges = with_judges()
    one = evaluators["evaluator"]
    evaluators["evaluator"] = replace(one, ceiling=replace(one.ceiling, aa1=0.95))
    targets["none-0"] = replace(targets["none-0"], balanced_accuracy=0.91)
    targets["trap-0"] = replace(targets["trap-0"], trapdoor_success=0.995)
    for row, coverage, agreement in (("plgmi-none-0", 0.9, 0.8), ("plgmi-trap-0", 1.0, 0.84)):
        attack_runs[row] = replace(attack_runs[row], coverage=coverage, queried_agreement=agreement)
    made = study_checks.study(evaluators, targets, attack_runs, BOUNDS, judges)
    assert {one.name: one.detail for one in made}[name] == shown


def test_a_study_without_trapdoors_is_not_asked_about_them() -> None:
    evaluators, targets, attack_runs = scores()
    del targets["trap-0"], attack_runs["plgmi-trap-0"]
    found = checks.verdicts(study_checks.study(evaluators, targets, attack_runs, BOUNDS))
    assert "trapdoor_success" not in found and all(found.values())


def test_a_failed_row_is_named() -> None:
    parts = scores()
    parts[1]["trap-0"].checks["deterministic"] = False
    (found,) = (c for c in study_checks.study(*parts, BOUNDS) if c.name == "deterministic")
    assert found.detail == "failed by targets/trap-0"


@pytest.mark.parametrize("change", ["weak", "partial", "not attacked", "no undefended target"])
def test_positive_control_can_fail(change: str) -> None:
    evaluators, targets, attack_runs = scores()
    if change == "weak":
        attack_runs["plgmi-none-0"] = attack_run(aa1=0.49)
    elif change == "partial":  # it reached those people whom it reaches easily
        attack_runs["plgmi-none-0"] = attack_run(aa1=0.49)
        attack_runs["brepmi-none-0"] = replace(attack_run(aa1=1.0), left_out=15)
    elif change == "not attacked":
        targets["none-1"] = targets["none-0"]
    else:
        targets["none-0"] = replace(targets["none-0"], defense="none_aug")
    found = checks.verdicts(study_checks.study(evaluators, targets, attack_runs, BOUNDS))
    assert found["positive_control"] is False


def test_the_bound_itself_is_reached() -> None:
    evaluators, targets, attack_runs = scores()
    attack_runs["plgmi-none-0"] = attack_run(aa1=0.5)
    found = checks.verdicts(study_checks.study(evaluators, targets, attack_runs, BOUNDS))
    assert found["positive_control"] is True


@pytest.mark.parametrize(
    "change", ["high floor", "equal floor", "one of two floors", "no floor", "no evaluator"]
)
def test_floor_below_ceiling_can_fail(change: str) -> None:
    evaluators, targets, attack_runs = scores()
    if change == "high floor":
        attack_runs["random-none-0"] = replace(attack_runs["random-none-0"], aa1=0.98)
    elif change == "equal floor":
        top = evaluators["evaluator"].ceiling.aa1
        attack_runs["random-none-0"] = replace(attack_runs["random-none-0"], aa1=top)
    elif change == "one of two floors":
        attack_runs["random-none-1"] = replace(attack_runs["random-none-0"], aa1=0.98)
    elif change == "no floor":
        del attack_runs["random-none-0"]
    else:
        del evaluators["evaluator"]
    found = checks.verdicts(study_checks.study(evaluators, targets, attack_runs, BOUNDS))
    assert found["floor_below_ceiling"] is False


def test_nothing_scored_is_nothing_believed() -> None:
    assert not any(checks.verdicts(study_checks.study({}, {}, {}, BOUNDS)).values())
