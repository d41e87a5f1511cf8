"""Every kind of regression fails the gate, and nothing else does."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import fake_study
from trapmid.config import evaluation, params
from trapmid.config.evaluation import Gate
from trapmid.profiles.compose import compose
from trapmid.profiles.sections import defenses
from trapmid.report import summary
from trapmid.scoring import checks, gate
from trapmid.scoring.means import StudyMeans

PROFILES = Path(__file__).parents[2] / "profiles"

TOLERANCES = Gate(
    controls=("none", "none_aug"),
    why={"accuracy_drop": "three seeds on two machines"},
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
    "checks": {"deterministic": True, "positive_control": True, "target_agreement": True},
    "study": {"profile": "small", "seeds": [0]},
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


def read(summary: dict[str, Any]) -> StudyMeans:
    return StudyMeans.from_json(summary, Path("metrics.json"))


def compare(
    now: dict[str, Any], baseline: dict[str, Any], tolerances: Gate = TOLERANCES, **known: Any
) -> list[gate.Verdict]:
    return gate.compare(read(now), read(baseline), tolerances, **known)


def failed(now: dict[str, Any]) -> list[str]:
    return [v.metric for v in compare(now, BASELINE) if not v.passed]


def test_the_baseline_passes():
    verdicts = compare(BASELINE, BASELINE)
    assert len(verdicts) == len(gate.flatten(read(BASELINE)))
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
        ("checks.positive_control", False),  # weak, but it held before
        ("checks.deterministic", False),
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
        ("worst.trapmid.failed", []),
        ("worst.trapmid.failed", ["gmi", "kedmi"]),  # an attack that the baseline lacks
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
    ["attacks.plgmi.trapmid", "targets.trapmid", "references.floor", "worst.trapmid"],
)
def test_a_missing_row_fails(path):
    missing = failed(doctored(path))
    assert missing
    assert all(metric.startswith(path) for metric in missing)


def test_a_baseline_without_a_worst_case_is_older():
    old = doctored("worst")
    verdicts = compare(BASELINE, old)
    assert all(verdict.passed for verdict in verdicts)
    assert {v.note for v in verdicts if v.metric.startswith("worst.")} == {"new"}


def test_a_missing_check_fails():
    assert failed(doctored("checks.target_agreement")) == ["checks.target_agreement"]


def test_an_invalid_study_fails_whatever_the_baseline_was():
    bad = doctored("checks.deterministic", False)
    verdicts = compare(bad, bad)
    assert [v.metric for v in verdicts if not v.passed] == ["checks.deterministic"]


def test_a_weak_check_that_already_failed_is_marked():
    weak = doctored("checks.positive_control", False)
    verdicts = {v.metric: v for v in compare(weak, weak)}
    assert all(verdict.passed for verdict in verdicts.values())
    note = "weak check failed, as in the baseline"
    assert verdicts["checks.positive_control"].note == note
    assert gate.failures(read(weak), weak=True) == ["positive_control"]
    assert gate.failures(read(weak), weak=False) == []


def test_a_weak_failure_of_another_attack_is_not_hidden_by_the_old_one():
    """The check of the whole study failed before, too: by itself it is only marked."""
    before = doctored("checks.target_agreement", False)
    now = copy.deepcopy(before)
    now["worst"]["trapmid"]["failed"] = ["gmi", "plgmi"]
    (verdict,) = (v for v in compare(now, before) if not v.passed)
    assert verdict.metric == "worst.trapmid.failed"
    assert verdict.note == "a check failed of plgmi"


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ({"profile": "small", "seeds": [0]}, None),
        ({"profile": "wide", "seeds": [0]}, "of profile small, the scores are of wide"),
        ({"profile": "small", "seeds": [1]}, "of seed 0, the scores are of seed 1"),
        ({"profile": "small", "seeds": [0, 1]}, "of seed 0, the scores are of seeds 0, 1"),
    ],
)
def test_another_profile_or_seed_is_another_study(origin, words):
    assert gate.other_study(read(doctored("study", origin)), read(BASELINE)) == words
    assert gate.other_study(read(doctored("study", origin)), read(doctored("study"))) is None


def test_every_weak_check_is_a_check():
    assert set(checks.EXPLANATIONS) > evaluation.WEAK
    severities = {name: checks.Check(name, False, "").severity for name in checks.EXPLANATIONS}
    assert severities["evaluator_is_another_network"] == severities["splits_disjoint"] == "invalid"
    assert severities["trapdoor_success"] == "weak"


def test_a_new_row_is_shown_and_passes():
    now = doctored("attacks.kedmi", {"trapmid": scores(0.9)})
    verdicts = {v.metric: v for v in compare(now, BASELINE)}
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
    names = [v.metric for v in compare(now, before) if not v.passed]
    assert names == ["attacks.plgmi.bido.aa1", "attacks.plgmi.bido.aa5"]


def test_a_control_that_no_score_knows_is_an_error():
    wrong = dataclasses.replace(TOLERANCES, controls=("nune",))
    with pytest.raises(ValueError, match=r"gate\.controls: no defence 'nune'; there are none, no"):
        compare(BASELINE, BASELINE, wrong)


def test_a_control_that_the_study_lacks_is_not_judged():
    small = doctored("targets.none_aug")
    del small["attacks"]["plgmi"]["none_aug"]
    assert all(v.passed for v in compare(small, small, known=["none_aug"]))


def test_a_tolerance_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"attack_rise: 5\.0 is outside \[0, 1\]"):
        params.build(Gate, vars(TOLERANCES) | {"attack_rise": 5}, "gate")


def test_a_reason_of_no_tolerance_is_refused():
    with pytest.raises(
        ValueError, match=r"why: no tolerance \['attack_dorp'\]; there are accuracy"
    ):
        dataclasses.replace(TOLERANCES, why={"attack_dorp": "x"})


@pytest.mark.parametrize("name", sorted(path.stem for path in PROFILES.glob("*.yaml")))
def test_the_gate_of_every_profile_works(name):
    """Controls that a profile does not attack must not stop it; a weaker attack on one must."""
    study = YAML(typ="safe").load(compose(name, folder=PROFILES))
    if not study["attack_runs"]:
        pytest.skip("makes weights alone")
    tolerances = params.build(Gate, study["gate"], "gate")
    made = summary.summarise(study, *fake_study.scores(study), {"positive_control": True})
    assert made["study"]["profile"] == name
    verdicts = compare(made, made, tolerances, known=defenses(study))
    assert all(verdict.passed for verdict in verdicts)
    worse = copy.deepcopy(made)
    for attack in worse["attacks"].values():
        for scores in attack.values():
            scores["aa1"] = 0.0
    failed = [v for v in compare(worse, made, tolerances, known=defenses(study)) if not v.passed]
    attacked = {name for groups in made["attacks"].values() for name in groups}
    assert bool(failed) == any(name.split("@")[0] in tolerances.controls for name in attacked)


def test_the_table_ends_with_what_failed():
    text = gate.table(compare(doctored("evaluator.test_accuracy", 0.9), BASELINE), TOLERANCES)
    lines = text.splitlines()
    assert lines[0].split() == ["metric", "baseline", "now", "allowed", "verdict"]
    assert lines[-8].split() == [
        "evaluator.test_accuracy", "0.97", "0.9", "-0.02", "FAIL", "dropped", "by", "0.07",
    ]  # fmt: skip
    assert lines[-6:-2] == [
        "accuracy_drop 0.02: three seeds on two machines",
        "trapdoor_drop 0.01: no source given",
        "attack_rise 0.05: no source given",
        "attack_drop 0.1: no source given",
    ]
    assert lines[-1] == f"gate: 1 of {len(gate.flatten(read(BASELINE)))} failed"


def test_the_spread_over_seeds_is_not_compared() -> None:
    """A baseline of three seeds and a run of one have other entries there, not other scores."""
    summary = {
        "evaluator": {"test_accuracy": None},
        "targets": {},
        "attacks": {},
        "checks": {"fine": True},
    }
    seeds = {"population": 0.1, "sample": 0.14, "values": {"0": 0.5, "1": 0.7}}
    wide = summary | {"spread": {"targets": {}, "attacks": {"plgmi": {"none": {"aa1": seeds}}}}}
    leaves = {"evaluator.test_accuracy": None, "checks.fine": True}
    assert gate.flatten(read(wide)) == gate.flatten(read(summary)) == leaves
