"""What others read: the tidy table, the leaderboard's entries, the cards."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML

import fake_study
from fake_report import read
from trapmid.artifacts import checkpoints
from trapmid.report import findings, leaderboard, model_cards, scores_table
from trapmid.report.published import tables

DIGESTS = {"target": "ab" * 32, "reconstructions": "cd" * 32}
HEADINGS = (
    "Model Details",
    "Uses",
    "Bias, Risks, and Limitations",
    "How to Get Started with the Model",
    "Training Details",
    "Evaluation",
    "Environmental Impact",
    "Technical Specifications",
    "Citation",
)
"""Of Hugging Face's model card template, in its order."""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    root = tmp_path_factory.mktemp("handed")
    study = fake_study.write(root)
    inputs, metrics = read(root, study)
    return findings.Findings(inputs=inputs, metrics=metrics, pictures={})


@pytest.fixture(scope="module")
def numbers(found):
    return list(csv.DictReader(io.StringIO(scores_table.tidy(found.inputs, found.metrics))))


def of(numbers, row, metric):
    return [line for line in numbers if (line["row"], line["metric"]) == (row, metric)]


def test_what_is_in_a_list_has_a_line_each(numbers):
    """Adversarial examples by norm and radius, with their intervals; the theory by class."""
    (one,) = of(numbers, "trapmid-0", "adversarial.linf_0.0314.every.recall")
    assert (one["value"], one["low"], one["high"]) == ("0.75", "0.7", "0.8")
    (other,) = of(numbers, "trapmid-0", "adversarial.l2_0.5.changed.n")
    assert other["value"] == "48"
    (first,) = of(numbers, "trapmid-0", "theory.per_class.0")
    assert first["value"] == "-0.25"
    assert not of(numbers, "none-0", "adversarial.linf_0.0314.every.recall")


def test_a_card_has_the_intervals(found):
    text = model_cards.card(found, "trapmid-0")
    assert "Test accuracy 92.00 % (95 % interval 87.0 to 97.0 %), trapdoor success" in text
    assert "| PLG-MI | 12.0 (7–17) | 32.0 (27–37) |" in text and "| 3.0 (0–8) |" in text


def test_a_line_is_one_number(numbers):
    assert list(numbers[0]) == [
        *("row", "section", "attack", "defence", "seed", "metric", "value", "low", "high"),
        *("interval", "computed_on", "failed_checks"),
    ]
    keys = [
        tuple(line[k] for k in ("row", "section", "attack", "defence", "metric"))
        for line in numbers
    ]
    assert len(set(keys)) == len(keys)
    assert all(float(line["value"]) == float(line["value"]) for line in numbers)


def test_the_numbers_are_those_of_the_files(found, numbers):
    (line,) = of(numbers, "plgmi-trapmid-1", "aa1")
    assert line == {
        "row": "plgmi-trapmid-1",
        "section": "attack_runs",
        "attack": "plgmi",
        "defence": "trapmid",
        "seed": "1",
        "metric": "aa1",
        "value": "0.14",
        "low": "0.09",
        "high": "0.19",
        "interval": "identities",
        "computed_on": "cpu AVX2, oneDNN AVX2, torch 2.14.1",
        "failed_checks": "",
    }
    (agreed,) = of(numbers, "plgmi-trapmid-1", "judges.agree")
    assert (agreed["value"], agreed["low"], agreed["high"]) == ("0.035", "0.0", "0.085")
    assert of(numbers, "verifier", "verifier.true_accepts")[0]["value"] == "0.95"
    assert of(numbers, "trapmid-0", "theory.margin")[0]["value"] == "-0.375"
    assert of(numbers, "brepmi-none-0", "counts.queries.max")[0]["value"] == "990.0"
    assert (
        of(numbers, "gmi-trapmid-0", "frechet") == [] == of(numbers, "none-0", "trapdoor_success")
    )
    (mean,) = [
        line
        for line in of(numbers, "", "aa1")
        if (line["attack"], line["defence"]) == ("plgmi", "trapmid")
    ]
    assert (mean["seed"], float(mean["value"])) == ("mean", pytest.approx(0.13))


ENDS = {"low": 0.4, "high": 0.6, "kind": "t over seeds"}


def test_an_interval_has_its_columns(found):
    attacks = {"gmi": {"none": {"aa1": 0.5, "aa5": 0.7, "intervals": {"aa1": ENDS}}}}
    text = scores_table.tidy(found.inputs, {"targets": {}, "attacks": attacks})
    assert text.endswith(
        ",attack_runs,gmi,none,mean,aa1,0.5,0.4,0.6,t over seeds,,\n"
        ",attack_runs,gmi,none,mean,aa5,0.7,,,,,\n"
    )


def test_a_line_names_the_checks_that_its_row_failed(found):
    """A mean those of all its seeds; nobody else's line does."""
    failed = {"gmi-none-0": ("a", "b"), "gmi-none-1": ("b", "c")}
    runs, targets = dict(found.inputs.attack_runs), dict(found.inputs.targets)
    for row, names in failed.items():
        runs[row] = replace(runs[row], checks={"held": True, **dict.fromkeys(names, False)})
    targets["none-1"] = replace(targets["none-1"], checks={"attack_strength": False})
    inputs = replace(found.inputs, attack_runs=runs, targets=targets)
    lines = list(csv.DictReader(io.StringIO(scores_table.tidy(inputs, found.metrics))))
    keys = ("row", "section", "attack", "defence", "failed_checks")
    assert {tuple(line[key] for key in keys) for line in lines if line["failed_checks"]} == {
        ("gmi-none-0", "attack_runs", "gmi", "none", "a b"),
        ("gmi-none-1", "attack_runs", "gmi", "none", "b c"),
        ("", "attack_runs", "gmi", "none", "a b c"),
        ("none-1", "targets", "", "none", "attack_strength"),
        ("", "targets", "", "none", "attack_strength"),
    }
    assert of(lines, "gmi-none-0", "aa1")[0]["failed_checks"] == "a b"


def test_an_interval_inside_a_part_is_beside_its_number(numbers):
    (line,) = of(numbers, "none-0", "robustness.robust_accuracy.0.0157")
    assert [line[name] for name in ("value", "low", "high")] == ["0.2", "0.15", "0.25"]
    (line,) = of(numbers, "evaluator", "ceiling.aa1")
    assert [line[name] for name in ("value", "low", "high")] == ["0.97", "0.92", "1.0"]
    assert not any("intervals" in line["metric"] for line in numbers)


def entries(found, **params):
    given = dict.fromkeys(found.params["attack_runs"], DIGESTS)
    inputs = replace(found.inputs, params=found.params | params)
    made = leaderboard.entries(inputs, given, found.metrics["checks"])
    return {path: json.loads(content) for path, content in made.items()}


def test_an_attack_run_has_an_entry(found):
    made = entries(found)
    rows = [row for row, b in found.params["attack_runs"].items() if b["attack"] != "random"]
    assert list(made) == [f"leaderboard/{row}.json" for row in rows]
    one = made["leaderboard/plgmi-trapmid-0.json"]
    assert one["attack"]["name"] == "PLG-MI" and one["defence"]["name"] == "Trap-MID"
    assert one["measurement"]["aa1"] == 0.12 and one["measurement"]["test_accuracy"] == 0.92
    intervals = one["measurement"]["intervals"]
    assert intervals["aa1"] == {"low": 0.07, "high": 0.17, "kind": "identities", "n": 20}
    assert intervals["test_accuracy"]["low"] == 0.87 and "judges.agree" in intervals
    assert one["measurement"]["judges"] == {
        "agree": 0.03,
        "verifier_accepts": 0.06,
        "nearest_by_parameters": 0.04,
        "false_positive_share": 0.5,
    }
    unasked = made["leaderboard/brepmi-none-0.json"]["measurement"]["judges"]
    assert set(unasked.values()) == {None}
    assert one["claims"] == [] and one["unreliable"] is False and one["failed_checks"] == {}
    assert one["protocol"]["seed"] == 0 and one["protocol"]["images_per_identity"] == 5
    assert DIGESTS.items() <= one["digests"].items()


def test_claims_are_the_papers_in_fractions(found):
    """Table 1 prints 6.23 ± 5.60 of 81.37 ± 1.04 for PLG-MI on Trap-MID."""
    published = tables.read(Path(__file__).resolve().parents[2] / "reports" / "paper")
    inputs = replace(found.inputs, published=published)
    made = entries(replace(found, inputs=inputs))
    first, *others = made["leaderboard/plgmi-trapmid-1.json"]["claims"]
    assert first["source"] == "Trap-MID (NeurIPS 2024), table 1" and first["target"] == "vgg16"
    assert [first[k] for k in ("acc", "acc_deviation", "aa1", "aa1_deviation")] == [
        0.8137,
        0.0104,
        0.0623,
        0.056,
    ]
    assert {one["public"] for one in others} == {"celeba", "ffhq"}
    assert made["leaderboard/gmi-none_aug-1.json"]["claims"] == []


def test_the_digest_of_parameters_knows_what_scores_depend_on(found):
    """And nothing else: another block leaves it."""
    name = "leaderboard/plgmi-trapmid-0.json"
    before = entries(found)[name]["digests"]["parameters"]
    other = entries(found, none_aug={"augmentation": None})[name]["digests"]["parameters"]
    changed = entries(found, trapdoor={"alpha": 0.2, "beta": 0.3})[name]["digests"]["parameters"]
    assert before == other != changed and re.fullmatch(r"[0-9a-f]{64}", before)


def test_every_part_behind_a_score_changes_the_digest(found):
    """The attack's block, its row, the target's, the evaluator's, and what all have in common."""
    row = found.params["attack_runs"]["plgmi-trapmid-0"]
    target = found.params["targets"][row["target"]]
    places = (
        ("attack_runs", "plgmi-trapmid-0"),
        ("attacks", row["method"]),
        ("targets", row["target"]),
        ("classifier_training", target["training"]),
        ("evaluators", row["evaluator"]),
        ("inversion", None),
        ("evaluation", None),
    )
    name = "leaderboard/plgmi-trapmid-0.json"
    made = [entries(found)[name]["digests"]["parameters"]]
    for section, key in places:
        part = found.params[section]
        new = {"another": 1}
        changed = part | (new if key is None else {key: part.get(key, {}) | new})
        made.append(entries(found, **{section: changed})[name]["digests"]["parameters"])
    assert len(set(made)) == 1 + len(places)


def test_one_failed_check_makes_an_entry_unreliable(found):
    own = found.inputs.attack_runs["plgmi-trapmid-0"]
    failed = replace(own, checks={"every_class_attacked": True, "target_agreement": False})
    runs = found.inputs.attack_runs | {"plgmi-trapmid-0": failed}
    made = entries(replace(found, inputs=replace(found.inputs, attack_runs=runs)))
    one = made["leaderboard/plgmi-trapmid-0.json"]
    assert one["unreliable"] is True and one["failed_checks"] == {"attack": ["target_agreement"]}
    assert made["leaderboard/plgmi-trapmid-1.json"]["unreliable"] is False


def failing(found, part, row, check):
    """The study, of which a row of this part failed a check; the study's checks stay."""
    rows = getattr(found.inputs, part)
    changed = {**rows, row: replace(rows[row], checks={"deterministic": True, check: False})}
    return replace(found, inputs=replace(found.inputs, **{part: changed}))


@pytest.mark.parametrize(
    ("part", "row", "check", "whose"),
    [
        ("targets", "trapmid-0", "gradients_reach_images", "target"),
        ("targets", "trapmid-0", "attack_strength", "target"),
        ("targets", "trapmid-0", "checkpoint_verified", "target"),
        ("evaluators", "evaluator", "evaluator_accuracy", "evaluator"),
        ("judges", "verifier", "blank_images_refused", "judges"),
        ("judges", "identity", "reader_recognises_real", "judges"),
    ],
)
def test_what_failed_behind_an_entry_makes_it_unreliable(found, part, row, check, whose):
    """And nobody else's entry: another target's, and one of which no judge was asked."""
    made = entries(failing(found, part, row, check))
    one = made["leaderboard/plgmi-trapmid-0.json"]
    assert one["unreliable"] is True and one["failed_checks"] == {whose: [check]}
    assert one["checks"] == found.inputs.attack_runs["plgmi-trapmid-0"].checks
    other = made["leaderboard/brepmi-none-0.json"]
    assert other["unreliable"] is (whose == "evaluator")


@pytest.mark.parametrize(
    ("check", "counts"),
    [
        ("positive_control", True),  # needs several rows
        ("floor_is_chance", True),  # of one row, and makes the study invalid
        ("undefended_accuracy", False),  # of another target, and makes its own numbers weak
    ],
)
def test_what_failed_of_the_study_makes_every_entry_unreliable(found, check, counts):
    part = "attack_runs" if check == "floor_is_chance" else "targets"
    row = "random-none-0" if check == "floor_is_chance" else "none-1"
    broken = found if check == "positive_control" else failing(found, part, row, check)
    checks = {**found.metrics["checks"], check: False}
    made = entries(replace(broken, metrics={**found.metrics, "checks": checks}))
    one = made["leaderboard/plgmi-trapmid-0.json"]
    assert one["unreliable"] is counts
    assert one["failed_checks"] == ({"study": [check]} if counts else {})


def test_digests_are_those_of_the_file(tmp_path):
    file = tmp_path / "data/reconstructions/gmi-none-0.pt"
    file.parent.mkdir(parents=True)
    lineage = {"people": "p", "target": "t", "sources": {"prior": "q"}}
    checkpoints.save(file, {"lineage": lineage, "images": torch.zeros(1)})
    assert leaderboard.digests(tmp_path, "gmi-none-0") == {
        "private_people": "p",
        "target": "t",
        "prior": "q",
        "reconstructions": hashlib.sha256(file.read_bytes()).hexdigest(),
    }


def test_a_target_has_a_card_with_the_headings(found):
    made = {path: text.decode() for path, text in model_cards.cards(found).items()}
    assert list(made) == [f"model_cards/{row}.md" for row in found.params["targets"]]
    for text in made.values():
        front, body = text.removeprefix("---\n").split("---\n", 1)
        assert YAML(typ="safe").load(front)["license"] == "apache-2.0"
        assert re.findall(r"^## (.*)$", body, re.MULTILINE) == list(HEADINGS)
        assert "null" not in text.replace(": null", "") and "{" not in body.split("```json")[0]


def test_a_card_has_an_attack_on_each_public_data(found):
    """The weaker of two rows of one attack comes last, and hides nothing."""
    own = found.inputs.attack_runs["plgmi-none-0"]
    blocks = found.params["attack_runs"]
    rows = blocks | {"web-none-0": blocks[own.row] | {"data": "web"}}
    inputs = replace(
        found.inputs,
        params=found.params | {"attack_runs": rows},
        attack_runs={own.row: own, "web-none-0": replace(own, row="web-none-0", aa1=0.125)},
    )
    text = model_cards.card(replace(found, inputs=inputs), "none-0")
    assert "| PLG-MI | 95.0 (" in text and "| PLG-MI (web) | 12.5 (" in text
    assert "Assume that it leaks: PLG-MI gets AA-1 95.0 %" in text


def test_a_card_says_what_leaks(found):
    text = model_cards.card(found, "trapmid-1")
    assert (
        "Test accuracy 93.00 % (95 % interval 88.0 to 98.0 %), trapdoor success 100.00 % (" in text
    )
    assert "| PLG-MI on a student | 44.0 (39–49) | 64.0 (59–69) |" in text
    assert "PLG-MI on a student gets AA-1 44.0 % (95 % interval 39.0 to 49.0 %), and" in text
    assert "Random latents" not in model_cards.card(found, "none-0")
    assert '"alpha": 0.1' in text and "They are not people" in text


def test_a_card_marks_an_attack_that_failed_a_check(found):
    """In the table and in the sentence on the worst; and it lists what failed, by whose it is."""
    before = model_cards.card(found, "trapmid-1")
    assert not any(word in before for word in ("\\*:", "†", "‡", "Checks that failed", "invalid"))
    broken = failing(found, "attack_runs", "plgmi_distil-trapmid-1", "target_agreement")
    broken = failing(broken, "targets", "trapmid-1", "attack_strength")
    broken = failing(broken, "judges", "verifier", "blank_images_refused")
    text = model_cards.card(broken, "trapmid-1")
    assert "| PLG-MI on a student\\* | 44.0 (39–49) |" in text and "| PLG-MI | 14.0 (" in text
    assert "PLG-MI on a student gets AA-1 44.0 %\\* (95 % interval 39.0 to 49.0 %), and" in text
    assert text.count("\\*: a check of this attack failed") == 2
    assert "‡: a check of the judges failed" in text and "(6–16)‡ |" in text
    assert text.partition("Checks that failed, by whose they are:\n\n")[2].startswith(
        "- target: `attack_strength`\n"
        "- judges: `blank_images_refused`\n"
        "- PLG-MI on a student: `target_agreement`\n\n"
    )
    assert "The study is invalid" not in text
    other = model_cards.card(broken, "none-0")
    assert "\\*:" not in other and "attack_strength" not in other


def test_a_check_of_judges_on_one_attack_is_no_star_of_a_card(found):
    broken = failing(found, "attack_runs", "plgmi-trapmid-1", "judges_agree_on_real")
    text = model_cards.card(broken, "trapmid-1")
    (line,) = [one for one in text.splitlines() if one.startswith("| PLG-MI |")]
    assert line.endswith("‡ |") and "\\*" not in text and text.count("‡ |") == 1


def test_an_attack_on_a_part_of_the_people_is_no_worst_case_of_a_card(found):
    """Its rate has a dagger, and is the worst where no other attack ran."""
    runs = found.inputs.attack_runs
    some = replace(runs["brepmi-trapmid-1"], aa1=0.875, left_out=5)
    both = {"plgmi-trapmid-1": runs["plgmi-trapmid-1"], "brepmi-trapmid-1": some}
    made = [
        model_cards.card(replace(found, inputs=replace(found.inputs, attack_runs=own)), "trapmid-1")
        for own in (both, {"brepmi-trapmid-1": some})
    ]
    assert "leaks: PLG-MI gets AA-1 14.0 %" in made[0] and "| BREP-MI† | 87.5 (" in made[0]
    assert made[0].count("†: over a part of the people.") == 1
    assert "leaks: BREP-MI gets AA-1 87.5 %† (" in made[1]
    assert made[1].count("†: over a part of the people.") == 2


def test_a_card_of_an_invalid_study_says_so_first(found):
    """A check that makes a number weak does not; it is listed even where nobody attacked."""
    found = failing(found, "targets", "none-0", "attack_strength")
    for check, invalid in (("floor_is_chance", True), ("positive_control", False)):
        checks = {**found.metrics["checks"], check: False}
        inputs = replace(found.inputs, attack_runs={})
        metrics = {**found.metrics, "checks": checks}
        text = model_cards.card(replace(found, inputs=inputs, metrics=metrics), "none-0")
        top = text.partition("## Model Details")[0]
        assert (f"**The study is invalid: `{check}` failed." in top) is invalid
        assert f"- target: `attack_strength`\n- study: `{check}`\n" in text
        assert "No attack ran on it." in text
