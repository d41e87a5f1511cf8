"""The summary against numbers worked out by hand, and every way a score can be missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import fake_study
from trapmid.artifacts.results import ResultError
from trapmid.report import summary
from trapmid.scoring.machine import Machine
from trapmid.scoring.means import StudyMeans


@pytest.fixture
def study(tmp_path):
    return fake_study.write(tmp_path)


def read(root, study):
    return list(fake_study.read_scores(root, study))


def test_means_over_seeds(tmp_path, study):
    made = summary.summarise(study, *read(tmp_path, study), {"positive_control": True})
    assert made["evaluator"]["test_accuracy"] == 0.97
    none, trapmid = made["targets"]["none"], made["targets"]["trapmid"]
    assert (none["test_accuracy"], none["trapdoor_success"]) == (0.955, None)
    assert (trapmid["test_accuracy"], trapmid["trapdoor_success"]) == (0.925, 1.0)
    assert made["attacks"]["plgmi"]["trapmid"]["aa1"] == pytest.approx((0.12 + 0.14) / 2)
    assert made["attacks"]["plgmi"]["none"]["n_success"] == 96
    assert isinstance(made["attacks"]["plgmi"]["none"]["n"], int)


def test_robust_accuracy_is_a_mean_over_seeds(tmp_path, study):
    """Of two seeds, whose interval is their range, and of one, whose interval is its own."""
    evaluators, targets, attack_runs = read(tmp_path, study)
    row = targets["none-1"].robustness
    other = replace(row, robust_accuracy={"0.0039": 0.7, "0.0157": 0.1})
    targets["none-1"] = replace(targets["none-1"], robustness=other)
    none = summary.summarise(study, evaluators, targets, attack_runs, {})["targets"]["none"]
    assert none["robust_accuracy"] == {"0.0039": 0.75, "0.0157": 0.15}
    ends = {"low": 0.1, "high": 0.2, "kind": "range", "n": 2}
    assert none["intervals"]["robust_accuracy.0.0157"] == ends
    alone = fake_study.params(seeds=(0,))
    single = summary.summarise(alone, *fake_study.scores(alone), {})["targets"]["trapmid"]
    own = {"low": 0.35, "high": 0.45, "kind": "identities", "n": 20}
    assert single["robust_accuracy"]["0.0039"] == 0.4
    assert single["intervals"]["robust_accuracy.0.0039"] == own


def test_the_schema_of_the_issue(tmp_path, study):
    made = summary.summarise(study, *read(tmp_path, study), {})
    sections = {"evaluator", "targets", "attacks", "worst", "references", "spread", "checks"}
    assert set(made) == sections | {"study", "computed_on"}
    assert made["study"] == {"profile": "fake", "seeds": [0, 1]}
    assert list(made["targets"]) == ["none", "none_aug", "trapmid"]
    assert list(made["attacks"]) == list(fake_study.AA1)  # random is the floor, no attack
    for rows in made["attacks"].values():
        for scores in rows.values():
            names = {"aa1", "aa5", "knn_dist", "frechet", "n_success", "n"}
            assert set(scores) - {"judges", "signature_auc"} == names | {"intervals"}
    judged = made["attacks"]["plgmi"]["trapmid"]["judges"]
    assert set(judged) == {"agree", "accepted", "verifier_aa1", "identity_aa1", "farther"}
    assert judged["verifier_aa1"] == pytest.approx(made["attacks"]["plgmi"]["trapmid"]["aa1"])
    assert "judges" not in made["attacks"]["brepmi"]["none"]  # its rows name none
    assert made["references"]["floor"]["aa1"] == pytest.approx(0.06)
    assert made["references"]["ceiling"]["n_success"] == 58


def told(scores, agree, accepted, nearest, alike, farther, second, auc):
    """An attack's scores with these numbers of judges and signature."""
    judges = replace(
        scores.judges,
        agree=agree,
        verifier=replace(scores.judges.verifier, accepted=accepted, aa1=nearest),
        identity=replace(scores.judges.identity, aa1=alike, farther=farther),
        second_aa1=second,
    )
    return replace(scores, judges=judges, signature=replace(scores.signature, auc=auc))


def test_what_judges_and_signatures_say_is_a_mean_over_seeds(tmp_path, study):
    evaluators, targets, attack_runs = read(tmp_path, study)
    said = ((0.05, 0.2, 0.3, 0.1, 0.6, 0.5, 0.9), (0.15, 0.4, 0.6, 0.2, 0.8, None, 0.7))
    for seed, numbers in enumerate(said):
        row = f"plgmi-trapmid-{seed}"
        attack_runs[row] = told(attack_runs[row], *numbers)
    made = summary.summarise(study, evaluators, targets, attack_runs, {})
    means = made["attacks"]["plgmi"]["trapmid"]
    assert means["judges"] == {
        "agree": 0.1,
        "accepted": 0.3,
        "verifier_aa1": 0.45,
        "identity_aa1": 0.15,
        "farther": 0.7,
        "second_aa1": 0.5,  # of the seed that asked one
    }
    assert means["signature_auc"] == 0.8


def test_a_seed_that_asked_no_judge_with_a_voice_has_no_share(tmp_path, study):
    """One seed asked a verifier, the other a second evaluator alone: it has no share to average."""
    evaluators, targets, attack_runs = read(tmp_path, study)
    for seed, named in ((0, "verifier"), (1, "second_evaluator")):
        scores = attack_runs[f"plgmi-trapmid-{seed}"]
        disagreement = {named: scores.judges.disagreement["verifier"]}
        judges = replace(scores.judges, agree=0.1 + seed, disagreement=disagreement)
        attack_runs[f"plgmi-trapmid-{seed}"] = replace(scores, judges=judges)
    made = summary.summarise(study, evaluators, targets, attack_runs, {})
    assert made["attacks"]["plgmi"]["trapmid"]["judges"]["agree"] == 0.1


def test_a_check_that_any_seed_of_a_target_failed_is_named(tmp_path, study):
    evaluators, targets, attack_runs = read(tmp_path, study)
    for row, name in (("trapmid-0", "trapdoor_success"), ("trapmid-1", "deterministic")):
        targets[row] = replace(targets[row], failed_checks={name: "why"})
    made = summary.summarise(study, evaluators, targets, attack_runs, {})["targets"]
    assert made["trapmid"]["failed"] == ["deterministic", "trapdoor_success"]
    assert made["none"]["failed"] == []


def test_the_machine_of_the_judges_is_named_too(tmp_path, study):
    """They are scored in a stage of their own, which may run elsewhere."""
    scores = read(tmp_path, study)
    judges = fake_study.judge_scores(study)
    assert judges
    elsewhere = Machine(**fake_study.MACHINE | {"device": "cuda"})
    moved = {row: replace(one, computed_on=elsewhere) for row, one in judges.items()}
    for known, devices in ((judges, ["cpu"]), (moved, ["cpu", "cuda"])):
        made = summary.summarise(study, *scores, {}, judges=known)
        assert [machine["device"] for machine in made["computed_on"]] == devices


def test_the_headline_is_a_dozen_numbers(tmp_path, study):
    """What `dvc exp show` shows: nothing null, nothing nested deeper than a defence."""
    made = summary.summarise(study, *read(tmp_path, study), {"positive_control": False})
    assert summary.headline(made) == {
        "aa1": {"none": 0.96, "none_aug": 0.92, "trapmid": 0.43},
        "accuracy": {"none": 0.955, "none_aug": 0.955, "trapmid": 0.925},
        "success": {"trapmid": 1.0},
        "checks_failed": 1,
    }


def test_the_worst_case_is_the_strongest_attack(tmp_path, study):
    scores = read(tmp_path, study)
    made_of = summary.summarise(study, *scores, {})
    made = made_of["worst"]
    assert made["none"] == {
        "attack": "plgmi",
        "aa1": 0.96,
        "aa5": 1.0,
        "attacks": 4,
        "failed": [],
        "intervals": made_of["attacks"]["plgmi"]["none"]["intervals"],
    }
    # Plain PLG-MI falls into the trapdoor (13 %), an attacker who asks a student does not.
    assert made["trapmid"]["attack"] == "plgmi_distil" and made["trapmid"]["aa1"] == 0.43


def test_an_attack_that_failed_a_check_is_named(tmp_path, study):
    """One seed is enough, the floor is no attack, and a leak stays the worst case."""
    evaluators, targets, attack_runs = read(tmp_path, study)
    for row in ("plgmi-none-1", "random-none-0"):
        attack_runs[row].checks["target_agreement"] = False
    made = summary.summarise(study, evaluators, targets, attack_runs, {})["worst"]
    assert made["none"]["failed"] == ["plgmi"] and made["none"]["attack"] == "plgmi"
    assert made["trapmid"]["failed"] == []


def test_a_part_of_the_people_is_no_worst_case_beside_all(tmp_path, study):
    """100 % of five people do not rank before 43 % of twenty; alone they are what there is."""
    evaluators, targets, attack_runs = read(tmp_path, study)
    for seed in (0, 1):
        row = f"brepmi-trapmid-{seed}"
        attack_runs[row] = replace(attack_runs[row], aa1=1.0, aa5=1.0, left_out=15)
    made = summary.summarise(study, evaluators, targets, attack_runs, {})
    assert made["attacks"]["brepmi"]["trapmid"]["aa1"] == 1.0
    worst = made["worst"]["trapmid"]
    assert (worst["attack"], worst["aa1"], worst["attacks"]) == ("plgmi_distil", 0.43, 4)
    assert made["worst"]["none"]["attack"] == "plgmi"


def test_the_spread_by_hand(tmp_path, study):
    scores = read(tmp_path, study)
    made = summary.summarise(study, *scores, {})["spread"]
    none = made["targets"]["none"]
    assert none["test_accuracy"] == {
        "population": pytest.approx(0.005),
        "sample": pytest.approx(0.005 * 2**0.5, abs=1e-6),
        "values": {"0": 0.95, "1": 0.96},
    }
    nothing = {"population": None, "sample": None, "values": {"0": None, "1": None}}
    assert none["trapdoor_success"] == nothing
    assert made["attacks"]["plgmi"]["trapmid"]["aa1"]["values"] == {"0": 0.12, "1": 0.14}


def test_one_seed_has_the_intervals_of_its_run(tmp_path):
    study = fake_study.write(tmp_path, seeds=(4,))
    made = summary.summarise(study, *read(tmp_path, study), {})
    scores = made["attacks"]["plgmi"]["none"]
    assert scores["intervals"] == {
        "aa1": fake_study.interval(scores["aa1"]),
        "aa5": fake_study.interval(scores["aa5"]),
        "judges.agree": fake_study.interval(scores["judges"]["agree"]),
    }
    assert made["targets"]["none"]["intervals"].keys() == {
        "test_accuracy",
        "robust_accuracy.0.0039",
        "robust_accuracy.0.0157",
    }
    success = made["targets"]["trapmid"]["intervals"]["trapdoor_success"]
    assert (success["kind"], success["n"]) == ("images", 60)
    assert made["evaluator"]["intervals"]["test_accuracy"] == fake_study.interval(0.97)
    assert made["references"]["ceiling"]["intervals"]["aa1"] == fake_study.interval(0.97)
    assert made["references"]["floor"]["intervals"]["aa1"]["kind"] == "identities"


def test_random_latents_for_several_targets_are_one_run(tmp_path):
    """Two rows of one seed have one value and no range of width 0."""
    study = fake_study.write(tmp_path, seeds=(0,))
    scores = read(tmp_path, study)
    before = summary.summarise(study, *scores, {})["references"]["floor"]
    study["attack_runs"]["again"] = study["attack_runs"]["random-none-0"] | {"target": "trapmid-0"}
    scores[-1]["again"] = replace(scores[-1]["random-none-0"], row="again", target="trapmid-0")
    assert summary.summarise(study, *scores, {})["references"]["floor"] == before
    assert before["intervals"]["aa1"]["n"] == 20


def test_two_seeds_have_a_range_and_three_an_interval_of_seeds(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0, 1))
    made = summary.summarise(study, *read(tmp_path, study), {})
    found = made["attacks"]["plgmi"]["trapmid"]["intervals"]["aa1"]
    assert found == {"low": 0.12, "high": 0.14, "kind": "range", "n": 2}
    study = fake_study.write(tmp_path, seeds=(0, 1, 2))
    made = summary.summarise(study, *read(tmp_path, study), {})
    found = made["attacks"]["plgmi"]["trapmid"]["intervals"]["aa1"]
    reach = 4.302653 * 0.02 / 3**0.5  # 12, 14 and 16 %
    assert (found["kind"], found["n"]) == ("seeds", 3)
    assert (found["low"], found["high"]) == pytest.approx((0.14 - reach, 0.14 + reach), abs=1e-6)


def test_several_evaluators_are_no_seeds(tmp_path, study):
    scores = read(tmp_path, study)
    study["evaluators"]["other"] = study["evaluators"]["evaluator"]
    scores[0]["other"] = replace(scores[0]["evaluator"], test_accuracy=0.5)
    alone = summary.summarise(
        study, *scores, {}
    )  # a second evaluator, which no attack has as its own
    assert alone["evaluator"]["test_accuracy"] == 0.97 and "intervals" in alone["evaluator"]
    study["attack_runs"]["gmi-none-0"]["evaluator"] = "other"
    made = summary.summarise(study, *scores, {})
    assert "intervals" not in made["evaluator"]
    assert "intervals" not in made["references"]["ceiling"]


def test_what_is_written_is_what_the_gate_reads(tmp_path, study):
    made = summary.summarise(study, *read(tmp_path, study), {"positive_control": True})
    assert StudyMeans.from_json(made, Path("metrics.json")).to_json() == made


@pytest.mark.parametrize(
    ("section", "row", "key", "other"),
    [
        ("targets", "none-1", "seed", 2),
        ("attack_runs", "gmi-none-0", "seed", 1),
        ("attack_runs", "gmi-none-0", "attack", "plgmi"),
        ("attack_runs", "gmi-none-0", "target", "trapmid-0"),
    ],
)
def test_scores_of_another_experiment_are_refused(tmp_path, study, section, row, key, other):
    """Left by an older study: a mean would count one seed twice and not say so."""
    evaluators, targets, attack_runs = read(tmp_path, study)
    part = {"targets": targets, "attack_runs": attack_runs}[section]
    part[row] = replace(part[row], **{key: other})
    with pytest.raises(ResultError, match=rf"{section}/{row}\.json: {key}: {other!r}, but params"):
        summary.summarise(study, evaluators, targets, attack_runs, {})


def test_one_seed_has_no_sample_deviation(tmp_path):
    study = fake_study.write(tmp_path, seeds=(4,))
    made = summary.summarise(study, *read(tmp_path, study), {})
    spread = made["spread"]["attacks"]["gmi"]["none"]["aa1"]
    assert (spread["population"], spread["sample"]) == (0, None)
    assert list(spread["values"]) == ["4"]


def test_a_null_seed_is_left_out_of_the_mean(tmp_path, study):
    scores = read(tmp_path, study)
    one = scores[2]["plgmi-none-0"]
    scores[2]["plgmi-none-0"] = replace(one, frechet=None)
    made = summary.summarise(study, *scores, {})
    assert made["attacks"]["plgmi"]["none"]["frechet"] == scores[2]["plgmi-none-1"].frechet
    assert made["attacks"]["gmi"]["trapmid"]["frechet"] is None  # null for both seeds


def test_one_failed_row_fails_the_check(tmp_path, study):
    scores = read(tmp_path, study)
    scores[2]["gmi-none-1"].checks["target_agreement"] = False
    made = summary.summarise(study, *scores, {"target_agreement": True, "positive_control": True})
    assert made["checks"]["target_agreement"] is False
    assert made["checks"]["positive_control"] is True


def test_other_data_is_not_averaged_in(tmp_path, study):
    scores = read(tmp_path, study)
    extra = study["targets"]["none-0"] | {"data": "digits"}
    study["targets"]["digits_none-0"] = extra
    scores[1]["digits_none-0"] = replace(scores[1]["none-0"], test_accuracy=0.5)
    made = summary.summarise(study, *scores, {})
    assert made["targets"]["none"]["test_accuracy"] == 0.955
    assert made["targets"]["none@digits"]["test_accuracy"] == 0.5


def test_another_public_set_is_another_row(tmp_path, study):
    scores = read(tmp_path, study)
    study["attack_runs"]["ffhq-none-0"] = study["attack_runs"]["plgmi-none-0"] | {
        "data": "faces_ffhq"
    }
    scores[2]["ffhq-none-0"] = replace(scores[2]["plgmi-none-0"], aa1=0.5)
    made = summary.summarise(study, *scores, {})
    assert made["attacks"]["plgmi"]["none"]["aa1"] == pytest.approx(0.96)
    assert made["attacks"]["plgmi"]["none@faces_ffhq"]["aa1"] == 0.5
    assert list(made["worst"]) == ["none", "none_aug", "trapmid", "none@faces_ffhq"]
    assert made["worst"]["none@faces_ffhq"]["attacks"] == 1


def test_two_experiments_are_not_averaged_as_seeds(tmp_path, study):
    scores = read(tmp_path, study)
    study["attack_runs"]["twin-0"] = study["attack_runs"]["plgmi-none-0"]
    scores[2]["twin-0"] = scores[2]["plgmi-none-0"]
    with pytest.raises(ResultError, match="plgmi-none-0 and twin-0 have one name"):
        summary.summarise(study, *scores, {})


def test_rows_come_from_params(tmp_path, study):
    fake_study.write_json(tmp_path / "reports/scores/attack_runs/stale.json", {"aa1": 1.0})
    assert "stale" not in read(tmp_path, study)[2]


def test_a_missing_file_is_named(tmp_path, study):
    (tmp_path / "reports/scores/attack_runs/gmi-none-0.json").unlink()
    with pytest.raises(ResultError, match=r"attack_runs/gmi-none-0\.json: no such file"):
        read(tmp_path, study)


def test_a_row_without_scores_is_named(tmp_path, study):
    scores = read(tmp_path, study)
    del scores[1]["none-1"]
    with pytest.raises(ResultError, match=r"targets/none-1\.json: not read"):
        summary.summarise(study, *scores, {})
