"""Every kind of regression fails the gate, and nothing else does."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from trapmid import gate
from trapmid.criteria import Gate

TOLERANCES = Gate(
    controls=("none", "none_aug"),
    accuracy_drop=0.02,
    trapdoor_drop=0.01,
    attack_rise=0.05,
    attack_drop=0.1,
)


def scores(aa1: float) -> dict[str, Any]:
    return {
        "aa1": aa1,
        "aa5": min(1.0, aa1 + 0.2),
        "knn_dist": 90.0,
        "frechet": 20.0,
        "n_success": round(100 * aa1),
        "n": 100,
    }


BASELINE = {
    "evaluator": {"test_accuracy": 0.97},
    "targets": {
        "none": {"test_accuracy": 0.95, "trapdoor_success": None},
        "none_aug": {"test_accuracy": 0.95, "trapdoor_success": None},
        "trapmid": {"test_accuracy": 0.93, "trapdoor_success": 1.0},
    },
    "attacks": {
        "plgmi": {"none": scores(0.95), "none_aug": scores(0.9), "trapmid": scores(0.12)},
    },
    "worst": {
        "none": {"attack": "plgmi", "aa1": 0.95, "aa5": 1.0, "attacks": 3, "failed": []},
        "trapmid": {"attack": "lomma", "aa1": 0.6, "aa5": 0.8, "attacks": 4, "failed": ["gmi"]},
    },
    "references": {"floor": scores(0.05), "ceiling": scores(0.97)},
    "checks": {"positive_control": True, "target_agreement": True},
}


def doctored(path: str, value: Any = ...) -> dict[str, Any]:
    """The baseline with one value changed, or without it."""
    summary: dict[str, Any] = copy.deepcopy(BASELINE)
    *parents, last = path.split(".")
    part = summary
    for key in parents:
        part = part[key]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return summary


def failed(now: dict[str, Any]) -> list[str]:
    return [v.metric for v in gate.compare(now, BASELINE, TOLERANCES) if not v.passed]


def test_the_baseline_passes():
    verdicts = gate.compare(BASELINE, BASELINE, TOLERANCES)
    assert len(verdicts) == len(gate.flatten(BASELINE))
    assert all(verdict.passed for verdict in verdicts)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("evaluator.test_accuracy", 0.94),
        ("targets.trapmid.test_accuracy", 0.90),
        ("targets.trapmid.trapdoor_success", 0.98),
        ("targets.trapmid.trapdoor_success", None),
        ("attacks.plgmi.trapmid.aa1", 0.18),
        ("attacks.plgmi.trapmid.aa5", 0.40),
        ("attacks.plgmi.none.aa1", 0.80),
        ("attacks.plgmi.none_aug.aa5", 0.85),
        ("attacks.plgmi.none.frechet", None),
        ("attacks.plgmi.none.knn_dist", None),
        ("attacks.plgmi.trapmid.n", 50),
        ("worst.trapmid.aa1", 0.66),
        ("worst.trapmid.attacks", 3),  # fewer attacks are no better defence
        ("worst.none.aa1", 0.84),
        ("checks.positive_control", False),
    ],
)
def test_a_regression_fails(path, value):
    assert failed(doctored(path, value)) == [path]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("targets.trapmid.test_accuracy", 0.91),  # exactly the tolerance
        ("targets.trapmid.test_accuracy", 0.99),
        ("targets.none.trapdoor_success", 0.0),  # null before
        ("attacks.plgmi.trapmid.aa1", 0.17),
        ("attacks.plgmi.trapmid.aa1", 0.0),  # better protected
        ("attacks.plgmi.none.aa1", 1.0),  # a stronger attack
        ("attacks.plgmi.none.aa1", 0.86),
        ("attacks.plgmi.none.knn_dist", 500.0),
        ("worst.trapmid.attack", "plgmi"),  # which attack it is
        ("worst.trapmid.failed", ["gmi", "plgmi"]),  # judged as checks
        ("worst.trapmid.aa1", 0.1),
        ("worst.trapmid.aa5", 1.0),  # of another attack, which is judged by itself
        ("worst.none.aa5", 0.5),
        ("worst.trapmid.attacks", 9),
    ],
)
def test_no_regression_passes(path, value):
    assert failed(doctored(path, value)) == []


@pytest.mark.parametrize(
    "path",
    ["attacks.plgmi.trapmid", "attacks.plgmi.none.aa5", "targets.trapmid", "references.floor"],
)
def test_a_missing_row_or_metric_fails(path):
    missing = failed(doctored(path))
    assert missing
    assert all(metric.startswith(path) for metric in missing)


def test_a_baseline_without_a_worst_case_is_older():
    old = doctored("worst")
    verdicts = gate.compare(BASELINE, old, TOLERANCES)
    assert all(verdict.passed for verdict in verdicts)
    assert {v.note for v in verdicts if v.metric.startswith("worst.")} == {"new"}


def test_a_missing_check_fails():
    assert failed(doctored("checks.target_agreement")) == ["checks.target_agreement"]


def test_a_check_that_already_failed_still_fails():
    bad = doctored("checks.positive_control", False)
    verdicts = gate.compare(bad, bad, TOLERANCES)
    assert [v.metric for v in verdicts if not v.passed] == ["checks.positive_control"]


def test_a_new_row_is_shown_and_passes():
    now = doctored("attacks.kedmi", {"trapmid": scores(0.9)})
    verdicts = {v.metric: v for v in gate.compare(now, BASELINE, TOLERANCES)}
    assert verdicts["attacks.kedmi.trapmid.aa1"].passed
    assert verdicts["attacks.kedmi.trapmid.aa1"].note == "new"


def test_a_new_check_must_hold():
    assert failed(doctored("checks.new", False)) == ["checks.new"]


def test_too_few_successes_may_lose_the_frechet_distance():
    now = doctored("attacks.plgmi.trapmid.frechet", None)
    assert failed(now) == ["attacks.plgmi.trapmid.frechet"]
    now["attacks"]["plgmi"]["trapmid"]["n_success"] = 2
    assert failed(now) == []


def test_a_new_defence_is_protected_unless_it_is_a_control():
    before, now = (doctored("attacks.plgmi.bido", scores(aa1)) for aa1 in (0.5, 0.7))
    names = [v.metric for v in gate.compare(now, before, TOLERANCES) if not v.passed]
    assert names == ["attacks.plgmi.bido.aa1", "attacks.plgmi.bido.aa5"]


def test_a_control_that_no_score_knows_is_an_error():
    wrong = Gate(controls=("nune",), accuracy_drop=0, trapdoor_drop=0, attack_rise=0, attack_drop=0)
    with pytest.raises(ValueError, match=r"gate\.controls: no defence 'nune'"):
        gate.compare(BASELINE, BASELINE, wrong)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("checks", ..., "no section 'checks'"),
        ("checks.positive_control", 1, "must be true or false"),
        ("attacks.plgmi.none.aa1", True, "must be a finite number or null"),
        ("attacks.plgmi.none.aa1", "0.9", "must be a finite number or null"),
        ("attacks.plgmi.none.aa1", float("nan"), "must be a finite number or null"),
    ],
)
def test_a_malformed_summary_is_an_error(path, value, words):
    with pytest.raises(ValueError, match=words):
        gate.compare(doctored(path, value), BASELINE, TOLERANCES)


def test_a_tolerance_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"attack_rise: 5 is outside \[0, 1\]"):
        Gate(controls=(), accuracy_drop=0, trapdoor_drop=0, attack_rise=5, attack_drop=0)


def test_the_table_ends_with_what_failed():
    text = gate.table(gate.compare(doctored("evaluator.test_accuracy", 0.9), BASELINE, TOLERANCES))
    lines = text.splitlines()
    assert lines[0].split() == ["metric", "baseline", "now", "allowed", "verdict"]
    assert lines[-3].split() == [
        "evaluator.test_accuracy", "0.97", "0.9", "-0.02", "FAIL", "dropped", "by", "0.07",
    ]  # fmt: skip
    assert lines[-1] == f"gate: 1 of {len(gate.flatten(BASELINE))} failed"


def test_the_spread_over_seeds_is_not_compared() -> None:
    """A baseline of three seeds and a run of one have other entries there, not other scores."""
    summary = {"evaluator": {}, "targets": {}, "attacks": {}, "checks": {"fine": True}}
    wide = summary | {"spread": {"aa1": {"plgmi": {"none": {"values": {"0": 0.5, "1": 0.7}}}}}}
    assert gate.flatten(wide) == gate.flatten(summary) == {"checks.fine": True}
