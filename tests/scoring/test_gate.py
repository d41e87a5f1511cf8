"""Every kind of regression fails the gate, and nothing else does."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import fake_study
import shipped
from trapmid.config import evaluation, params
from trapmid.config.evaluation import Gate
from trapmid.report import summary
from trapmid.scoring import checks, gate, limits
from trapmid.scoring.means import JudgedMeans, RecognitionMeans, StudyMeans, TargetMeans

TOLERANCES = Gate(
    controls=("none", "none_aug"),
    why={"accuracy": "three seeds on two machines"},
    accuracy=0.02,
    trapdoor_success=0.01,
    attack_accuracy=0.05,
    control_accuracy=0.1,
    agreement=0.03,
    looks=0.04,
    signature=0.06,
    robust=0.08,
    knn=0.25,
    distance=0.5,
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


COMPARISON = {
    "measure": "aa1",
    "attack": "plgmi",
    "defense": "trapmid",
    "against": "none",
    "difference": -0.83,
    "seeds": [0],
    "identities": 20,
    "these_targets": {
        "interval": None,
        "p": 0.001,
        "p_holm": 0.002,
        "detectable": 0.1,
        "verdict": "lower",
    },
    "over_seeds": None,
    "verdict": "cannot tell",
    "reason": "one seed",
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
    now: dict[str, Any], baseline: dict[str, Any], tolerances: Gate = TOLERANCES
) -> list[gate.Verdict]:
    return gate.compare(read(now), read(baseline), tolerances)


def failed(now: dict[str, Any]) -> list[str]:
    return [v.metric for v in compare(now, BASELINE) if not v.passed]


def test_intervals_and_comparisons_are_not_judged():
    """They follow from what is judged; an older baseline has none, a newer study may have."""
    ends = {"aa1": {"low": 0.1, "high": 0.2, "kind": "identities", "n": 20}}
    now = doctored("attacks.plgmi.trapmid.intervals", ends)
    now["comparisons"] = [COMPARISON]
    assert read(now).attacks["plgmi"]["trapmid"].intervals["aa1"].n == 20
    assert read(now).comparisons[0].over_seeds is None
    assert read(now).to_json() == now | {"spread": None}
    older = {key: value for key, value in COMPARISON.items() if key != "measure"}
    assert read(now | {"comparisons": [older]}) == read(now)
    for pair in ((now, BASELINE), (BASELINE, now), (now, now)):
        verdicts = compare(*pair)
        assert len(verdicts) == len(compare(BASELINE, BASELINE))
        assert all(verdict.passed for verdict in verdicts)


def test_the_baseline_passes():
    verdicts = compare(BASELINE, BASELINE)
    assert len(verdicts) == len(gate.flatten(read(BASELINE)))
    assert all(verdict.passed for verdict in verdicts)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("evaluator.test_accuracy", 0.94),
        ("evaluator.test_accuracy", 1.0),  # it may have seen the test images
        ("targets.trapmid.test_accuracy", 0.90),
        ("targets.trapmid.test_accuracy", 0.99),
        ("targets.trapmid.trapdoor_success", 0.98),
        ("targets.trapmid.trapdoor_success", None),
        ("attacks.plgmi.trapmid.aa1", 0.18),
        ("attacks.plgmi.trapmid.aa1", 0.0),  # what gets nothing may be broken
        ("attacks.plgmi.trapmid.aa5", 0.38),
        ("attacks.plgmi.none.aa1", 0.80),
        ("attacks.plgmi.none_aug.aa5", 0.85),
        ("attacks.plgmi.none.knn_dist", 9.0),  # a tenth
        ("attacks.plgmi.trapmid.knn_dist", 113.0),
        ("attacks.plgmi.none_aug.frechet", 2.0),
        ("attacks.plgmi.none.frechet", 31.0),
        ("references.floor.aa1", 0.2),
        ("references.ceiling.aa1", 0.5),
        ("references.ceiling.knn_dist", 9.0),
        ("attacks.plgmi.trapmid.n", 200),
        ("attacks.plgmi.none.frechet", None),
        ("attacks.plgmi.none.knn_dist", None),
        ("attacks.plgmi.trapmid.n", 50),
        ("worst.trapmid.aa1", 0.66),
        ("worst.trapmid.aa1", 0.1),
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
        ("targets.trapmid.test_accuracy", 0.95),
        ("targets.none.trapdoor_success", 0.0),  # null before
        ("attacks.plgmi.trapmid.aa1", 0.17),
        ("attacks.plgmi.trapmid.aa1", 0.07),
        ("attacks.plgmi.none.aa1", 1.0),
        ("attacks.plgmi.none.aa1", 0.85),
        ("attacks.plgmi.none.knn_dist", 112.5),
        ("attacks.plgmi.none.knn_dist", 67.5),
        ("attacks.plgmi.none.frechet", 30.0),  # wider than KNN's
        ("attacks.plgmi.none.n_success", 0),  # AA-1, counted
        ("worst.trapmid.attack", "plgmi"),  # which attack it is
        ("worst.trapmid.failed", []),
        ("worst.trapmid.failed", ["gmi", "kedmi"]),  # an attack that the baseline lacks
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
        (
            {"profile": "small --table 7", "seeds": [0]},
            "of profile small, the scores are of small --table 7",
        ),
        ({"profile": "small", "seeds": [1]}, "of seed 0, the scores are of seed 1"),
        ({"profile": "small", "seeds": [0, 1]}, "of seed 0, the scores are of seeds 0, 1"),
    ],
)
def test_another_profile_or_seed_is_another_study(origin, words):
    assert gate.other_study(read(doctored("study", origin)), read(BASELINE)) == words
    assert gate.other_study(read(doctored("study", origin)), read(doctored("study"))) is None


def test_every_weak_check_is_a_check():
    assert set(checks.EXPLANATIONS) > evaluation.WEAK
    assert "trapdoor_success" in evaluation.WEAK
    assert evaluation.WEAK.isdisjoint({"evaluator_is_another_network", "splits_disjoint"})


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
    now["attacks"]["plgmi"]["trapmid"]["knn_dist"] = None  # it needs no success
    assert failed(now) == ["attacks.plgmi.trapmid.knn_dist"]


def test_a_tolerance_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"distance: 5\.0 is outside \[0, 1\]"):
        params.build(Gate, vars(TOLERANCES) | {"distance": 5}, "gate")


def test_a_reason_of_no_tolerance_is_refused():
    with pytest.raises(ValueError, match=r"why: no tolerance \['distanec'\]; there are accuracy"):
        dataclasses.replace(TOLERANCES, why={"distanec": "x"})


def _kind(defense: str, tolerances: Gate) -> str:
    return "control" if defense.split("@")[0] in tolerances.controls else "attack"


@pytest.mark.parametrize("name", shipped.LARGE_ARE_SLOW)
def test_the_gate_of_every_profile_works(name):
    """It passes what did not change, and stops an attack that gets nothing any more."""
    study = YAML(typ="safe").load(shipped.text(name))
    if not study["attack_runs"]:
        pytest.skip("makes weights alone")
    tolerances = params.build(Gate, study["gate"], "gate")
    made = summary.summarise(study, *fake_study.scores(study), {"positive_control": True})
    assert made["study"]["profile"] == name
    verdicts = compare(made, made, tolerances)
    assert all(verdict.passed for verdict in verdicts)
    worse = copy.deepcopy(made)
    for attack in worse["attacks"].values():
        for scores in attack.values():
            scores["aa1"] = 0.0
    stopped = {v.metric for v in compare(worse, made, tolerances) if not v.passed}
    assert stopped == {
        f"attacks.{attack}.{name}.aa1"
        for attack, groups in made["attacks"].items()
        for name, before in groups.items()
        if before["aa1"] > getattr(tolerances, f"{_kind(name, tolerances)}_accuracy")
    }
    assert stopped


def test_the_table_ends_with_what_failed():
    text = gate.table(compare(doctored("evaluator.test_accuracy", 0.9), BASELINE), TOLERANCES)
    lines = text.splitlines()
    assert lines[0].split() == ["metric", "baseline", "now", "allowed", "verdict"]
    assert lines[-10].split() == [
        "evaluator.test_accuracy", "0.97", "0.9", "±0.02", "FAIL", "dropped", "by", "0.07",
    ]  # fmt: skip
    assert lines[-8:-2] == [
        "accuracy 0.02: three seeds on two machines",
        "trapdoor_success 0.01: no source given",
        "attack_accuracy 0.05: no source given",
        "control_accuracy 0.1: no source given",
        "knn 0.25: no source given",
        "distance 0.5: no source given",
    ]
    assert lines[-1] == f"gate: 1 of {len(gate.flatten(read(BASELINE)))} failed"


JUDGED = {
    "agree": 0.3,
    "accepted": 0.5,
    "verifier_aa1": 0.6,
    "identity_aa1": None,
    "farther": 0.7,
    "second_aa1": 0.4,
}


@pytest.mark.parametrize(
    ("defense", "name", "value", "passes"),
    [
        ("trapmid", "agree", 0.33, True),
        ("trapmid", "agree", 0.34, False),
        ("trapmid", "agree", 0.26, False),
        ("trapmid", "accepted", 0.46, False),
        ("none", "agree", 0.4, True),  # a control moves further
        ("none", "verifier_aa1", 0.3, False),
        ("trapmid", "second_aa1", 0.45, True),  # AA-1, by another evaluator
        ("trapmid", "second_aa1", 0.46, False),
        ("none", "second_aa1", 0.5, True),
        ("none", "second_aa1", 0.51, False),
        ("trapmid", "farther", 0.74, True),
        ("trapmid", "farther", 0.75, False),
        ("none", "farther", 0.65, False),
        ("trapmid", "farther", None, False),
    ],
)
def test_what_judges_say_has_tolerances_of_its_own(defense, name, value, passes):
    old, new = (
        doctored(f"attacks.plgmi.{defense}.judges", JUDGED | changed)
        for changed in ({}, {name: value})
    )
    wrong = [v.metric for v in compare(new, old) if not v.passed]
    assert wrong == ([] if passes else [f"attacks.plgmi.{defense}.judges.{name}"])


@pytest.mark.parametrize(("now", "passes"), [(0.33, True), (0.34, False), (0.26, False)])
def test_the_nearest_person_by_parameters_is_judged(now, passes):
    path = "attacks.plgmi.trapmid.judges"
    old, new = (doctored(path, JUDGED | {"identity_aa1": rate}) for rate in (0.3, now))
    wrong = [v.metric for v in compare(new, old) if not v.passed]
    assert wrong == ([] if passes else [f"{path}.identity_aa1"])


COUNTED = {
    "n": "another number of images is another protocol: it may not move at all",
    "n_success": "AA-1, counted",
}
"""Numbers of a study's means that no tolerance judges, and why."""


@pytest.mark.parametrize("means", [TargetMeans, RecognitionMeans, JudgedMeans])
def test_every_number_of_the_means_has_a_tolerance(means):
    numbers = [one.name for one in dataclasses.fields(means) if one.type == "float | None"]
    others = {one.name for one in dataclasses.fields(means)}.difference(numbers)
    assert others <= {"robust_accuracy", "failed", "intervals", "judges"}
    for name in set(numbers).difference(COUNTED):
        assert limits.limit(f"attacks.plgmi.trapmid.{name}", 0.5, TOLERANCES).kind, name


def test_a_reader_that_leaks_more_is_not_within_the_noise_of_aa1():
    """From 4 to 19 % of images on which all agree: once inside the tolerance of AA-1."""
    small = params.build(Gate, YAML(typ="safe").load(shipped.text("small"))["gate"], "gate")
    old, new = (
        doctored("attacks.plgmi.trapmid.judges", JUDGED | {"agree": agree})
        for agree in (0.04, 0.19)
    )
    assert small.attack_accuracy > 0.15
    wrong = [v.metric for v in compare(new, old, small) if not v.passed]
    assert wrong == ["attacks.plgmi.trapmid.judges.agree"]


@pytest.mark.parametrize(("now", "passes"), [(0.59, True), (0.61, False), (0.39, False)])
def test_a_control_on_other_data_moves_as_a_control(now, passes):
    path = "attacks.plgmi.none@digits"
    old, new = (doctored(path, scores(0.5) | {"aa1": rate, "aa5": 0.9}) for rate in (0.5, now))
    wrong = [v.metric for v in compare(new, old) if not v.passed]
    assert wrong == ([] if passes else [f"{path}.aa1"])


@pytest.mark.parametrize(("now", "passes"), [(0.58, True), (0.59, False), (0.41, False)])
def test_robust_accuracy_is_judged(now, passes):
    path = "targets.trapmid.robust_accuracy"
    old, new = (doctored(path, {"0.0039": rate, "0.0157": 0.1}) for rate in (0.5, now))
    wrong = [v.metric for v in compare(new, old) if not v.passed]
    assert wrong == ([] if passes else [f"{path}.0.0039"])


@pytest.mark.parametrize(("now", "passes"), [(0.84, True), (0.97, False), (None, False)])
def test_the_signature_is_judged(now, passes):
    path = "attacks.plgmi.trapmid.signature_auc"
    wrong = [v.metric for v in compare(doctored(path, now), doctored(path, 0.9)) if not v.passed]
    assert wrong == ([] if passes else [path])
    assert failed(doctored(path, now)) == []  # an older baseline does not know it


def test_a_weak_failure_of_another_target_is_not_hidden_by_the_old_one():
    before = doctored("checks.trapdoor_success", False)
    now = copy.deepcopy(before)
    for study, wrong in ((before, []), (now, ["trapdoor_success"])):
        study["targets"]["none"]["failed"] = ["undefended_accuracy"]
        study["targets"]["trapmid"]["failed"] = wrong
    (verdict,) = (v for v in compare(now, before) if not v.passed)
    assert verdict.metric == "targets.trapmid.failed"
    assert verdict.note == "failed: trapdoor_success"
    assert all(v.passed for v in compare(before, now))
    del before["targets"]["trapmid"]["failed"]  # an older baseline does not say
    assert all(v.passed for v in compare(now, before))


def test_judges_that_an_older_baseline_does_not_know_are_new():
    new = doctored("attacks.plgmi.none.judges", JUDGED)
    assert failed(new) == []
    gone = [v.metric for v in compare(BASELINE, new) if not v.passed]
    assert gone == [f"attacks.plgmi.none.judges.{name}" for name in sorted(JUDGED)]


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
