"""The section of the judges, against sums over the scores that it is written from."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace

import pytest

import fake_study
from fake_report import edit_attack_run, read, rendered, written
from trapmid.metrics.statistics.intervals import Interval
from trapmid.report import findings
from trapmid.report.headline import headlines
from trapmid.report.judged import Measured, agreed_on_real, measured
from trapmid.report.sections import hits, judges, verdict
from trapmid.report.sections.hits import Cell
from trapmid.report.sections.likeness import likeness


def found_of(root, seeds=(0,), **changes):
    study = fake_study.write(root, seeds)
    for block in study["attack_runs"].values():
        block |= changes
    inputs, metrics = read(root, study)
    return findings.Findings(inputs=inputs, metrics=metrics, pictures={})


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return found_of(tmp_path_factory.mktemp("two"), (0, 1))


def lines_of(section):
    (shown,) = [block for block in section.blocks if hasattr(block, "frame")]
    return shown.frame.to_numpy().tolist()


def test_a_line_is_the_mean_over_the_seeds(two):
    """PLG-MI on Trap-MID: 12 and 14 hits of 100, of which the verifier accepts 6 and 7."""
    (line,) = [one for one in lines_of(judges.judges(two)) if one[0] == "PLG-MI on Trap-MID"]
    assert line[1] == "13.0"
    assert line[2] == "3.2 (3–4)"  # the range of two seeds
    assert line[3] == "50.0 (50–50)"
    assert line[4:7] == ["6.5", "13.0", "4.0"]  # the nearest by parameters: 4 of 12, 4 of 14
    assert line[7] == "1.17 (1.20)"
    assert line[8] == "0.0 (0–0)"


def test_the_last_lines_are_random_latents_and_real_images(two):
    floor, ceiling = lines_of(judges.judges(two))[-2:]
    assert floor[:2] == ["floor: random latents", "6.0"]  # 5 and 7
    assert floor[4] == "2.5"  # 2 and 3 accepted
    assert ceiling[:4] == ["ceiling: real test images", "97.0", "94.0 (89–99)", "5.0"]  # it refuses
    assert ceiling[4:] == ["95.0", "97.0", "98.0", "0.51 (1.20)", "–"]


def test_a_second_evaluator_has_a_column_and_a_sentence(tmp_path):
    """It takes 10 of the 12 hits of PLG-MI on Trap-MID, and 3 images beside."""
    assert judges._SECOND not in judges_table(found_of(tmp_path)).columns
    found = found_of(tmp_path, second_evaluator="models/evaluators/evaluator/model.pt")
    scores = found.inputs.attack_runs["plgmi-trapmid-0"]
    against = replace(scores.judges.disagreement["verifier"], both=10, false_positive_share=2 / 12)
    disagreement = scores.judges.disagreement | {"second_evaluator": against}
    judged = replace(scores.judges, second_aa1=0.13, disagreement=disagreement)
    found.inputs.attack_runs["plgmi-trapmid-0"] = replace(scores, judges=judged)
    shown = judges_table(found)
    (line,) = [one for one in shown.to_dict("records") if "PLG-MI on Trap-MID" in one.values()]
    assert line[judges._SECOND] == "13.0" and line["AA-1"] == "12.0"
    ceiling = shown.to_dict("records")[-1]
    assert ceiling[judges._SECOND] == "97.0" and ceiling["Verifier accepts"] == "95.0"
    words = hits.second(found, hits.cells(found))
    assert "shares of the evaluator's hits: PLG-MI on Trap-MID 16.7 %." in words


def judges_table(found):
    (shown,) = [block for block in judges.judges(found).blocks if hasattr(block, "frame")]
    return shown.frame


def test_likeness_is_between_random_latents_and_real_images(two):
    (fold,) = likeness(two)
    shown = fold.blocks[1].frame.to_dict("records")
    heads = [one["Attack and defence"] for one in shown]
    assert len(shown) == 14 and heads[-2:] == ["floor: random latents", "ceiling: real test images"]
    one = shown[heads.index("PLG-MI on Trap-MID")]
    assert list(one.values())[1:] == [
        "0.25",
        "44.00",
        "40.0",
        "60.0",
        "0.30",
        "20.0",
        "40.0",
        "1.0",
    ]
    assert "in the evaluator's features, means" in fold.blocks[0]
    assert "Kernel distance and the matched" in fold.blocks[0] and "KID" not in str(shown)


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("facenet", "FaceNet distance"),
        ("dlib", "dlib distance"),
        ("verifier", "Verifier distance"),
    ],
)
def test_the_distance_to_the_nearest_image_has_the_verifier_s_name(tmp_path, method, name):
    """0.5 and 0.9 of two seeds, 0.25 of real images; nobody measured random latents."""
    found = found_of(tmp_path, (0, 1))
    judge = found.inputs.judges["verifier"]
    quality = replace(judge.verifier, nearest_image=0.25)
    found.inputs.judges["verifier"] = replace(judge, method=method, verifier=quality)
    for row, near in (("plgmi-trapmid-0", 0.5), ("plgmi-trapmid-1", 0.9)):
        run = found.inputs.attack_runs[row]
        verifier = replace(run.judges.verifier, nearest_image=near)
        judged = replace(run.judges, verifier=verifier)
        found.inputs.attack_runs[row] = replace(run, judges=judged)
    (fold,) = likeness(found)
    shown = {one["Attack and defence"]: one for one in fold.blocks[1].frame.to_dict("records")}
    assert shown["PLG-MI on Trap-MID"][f"{name} ↓"] == "0.70"
    assert shown["ceiling: real test images"][f"{name} ↓"] == "0.25"
    assert shown["floor: random latents"][f"{name} ↓"] == "–"
    assert f" {name}: from a made image to its person's nearest" in fold.blocks[0]


def test_verifiers_of_two_methods_have_one_column(tmp_path):
    found = found_of(tmp_path)
    judge = found.inputs.judges["verifier"]
    quality = replace(judge.verifier, nearest_image=0.25)
    found.inputs.judges["verifier"] = replace(judge, method="dlib", verifier=quality)
    found.inputs.judges["face"] = replace(judge, method="facenet")
    first = next(iter(found.params["attack_runs"].values()))
    first["verifier"] = "data/features/judges/face.pt"
    (fold,) = likeness(found)
    assert "Verifier distance ↓" not in fold.blocks[1].frame.columns  # the first has none
    found.inputs.judges["face"] = replace(judge, method="facenet", verifier=quality)
    (fold,) = likeness(found)
    assert "Verifier distance ↓" in fold.blocks[1].frame.columns


def test_a_distance_is_called_kid_where_the_features_are_inceptions(tmp_path):
    found = found_of(tmp_path)
    found.params["evaluation"]["frechet_features"] = "inception"
    (fold,) = likeness(found)
    assert "KID ↓" in fold.blocks[1].frame.columns
    assert "in the evaluator's features (these two distances in Inception's)" in fold.blocks[0]


def test_what_judges_were_not_asked_about_has_no_line(two):
    heads = [line[0] for line in lines_of(judges.judges(two))]
    assert len(heads) == 11 and not any("BREP-MI" in head for head in heads)


def test_a_study_without_judges_has_no_such_section(tmp_path):
    study = fake_study.write(tmp_path, (0,))
    study["judges"] = {}
    inputs, metrics = read(tmp_path, study)
    for row, scores in inputs.attack_runs.items():
        object.__setattr__(scores, "judges", None)
        assert inputs.attack_runs[row].judges is None
    text = rendered(inputs, metrics, {}).markdown
    assert "Who is it really" not in text and "Attributes that leak" not in text


def test_the_judges_own_errors_are_said(two):
    text = "\n".join(block for block in judges.judges(two).blocks if isinstance(block, str))
    assert (
        "Of 60 real test images, everybody counted once, it takes 95.0 % for their person, and "
        "1.2 % for any" in text
    )
    assert "98.0 % are nearest to their person: 0.51 deviations away, 1.20 from others" in text


def test_a_failed_check_has_a_star(tmp_path):
    study = fake_study.write(tmp_path, (0,))
    edit_attack_run(tmp_path, "plgmi-none-0", checks={"target_agreement": False})
    text = written(tmp_path, study).markdown
    section = text[text.index("## Who is it really?") : text.index("## Attributes")]
    assert "| PLG-MI\\* on No defence |" in section and "A star: the search of this" in section


# --- in words -------------------------------------------------------------------------------------


def cell(share, low, high, kind="identities", defense="trapmid"):
    interval = None if low is None else Interval(low=low, high=high, kind=kind, n=24)
    return Cell("plgmi", defense, [], Measured(share, interval))


@pytest.mark.parametrize(
    ("share", "low", "high", "kind", "said"),
    [
        (0.8, 0.51, 0.95, "identities", "false"),
        (0.2, 0.05, 0.49, "identities", "true"),
        (0.8, 0.5, 0.95, "identities", "unknown"),
        (0.8, 0.7, 0.9, "range", "unknown"),  # two seeds without the intervals of their runs
        (0.9, 0.85, 0.95, "seeds", "false"),
        (None, None, None, "", "unknown"),
    ],
)
def test_what_most_hits_are_is_said_where_the_interval_says_it(share, low, high, kind, said):
    assert cell(share, low, high, kind).kind == said


def test_two_seeds_count_where_the_intervals_of_both_runs_do():
    ends = [Interval(low=low, high=0.9, kind="identities", n=24) for low in (0.6, 0.52)]
    between = Interval(low=0.7, high=0.8, kind="range", n=2)
    share = Measured(0.75, between, tuple(ends))
    assert Cell("plgmi", "trapmid", [], share).kind == "false"
    wide = share._replace(within=(ends[0], replace(ends[1], low=0.45)))
    assert Cell("plgmi", "trapmid", [], wide).kind == "unknown"


@pytest.mark.parametrize(
    ("refused", "said"), [(None, "false"), (0.1, "false"), (0.59, "unknown"), (0.3, "false")]
)
def test_a_verifier_that_refuses_real_images_calls_no_hit_false(refused, said):
    """58 % of the hits are refused, as of real images: as a perfect attack would have it."""
    assert cell(0.58, 0.53, 0.63)._replace(refused=refused).kind == said
    assert cell(0.2, 0.05, 0.49)._replace(refused=refused).kind == "true"


def test_with_three_seeds_it_is_said_of_the_defence(two):
    rows = [two.inputs.attack_runs["plgmi-none-0"]] * 3
    (line,) = hits.by_kind([cell(0.8, 0.6, 0.9)._replace(rows=rows)], "verifier")
    assert line.endswith("PLG-MI on Trap-MID 80.0 %.")


def test_a_strict_verifier_is_said_to_say_little(tmp_path):
    found = found_of(tmp_path)
    own = found.inputs.judges
    words = "The verifier refuses 59 % of a person's real images, so its refusals say little."
    assert not any(words in str(block) for block in [about_agreement(found)])
    quality = replace(own["verifier"].verifier, true_accepts=0.41)
    own["verifier"] = replace(own["verifier"], verifier=quality)
    assert words in about_agreement(found)
    text = "\n".join(block for block in judges.judges(found).blocks if isinstance(block, str))
    assert words in text.split("### What it means")[1]
    assert "than of real images, and the whole" in text or "share of real images that the" in text
    assert {round(one.refused, 6) for one in hits.cells(found)} == {0.59}
    assert not any(one.kind == "false" for one in hits.cells(found))  # 50 % are refused


def test_every_attack_is_in_one_sentence():
    some = [
        cell(0.8, 0.6, 0.9),
        cell(0.7, 0.55, 0.9, defense="none_aug"),
        cell(0.3, 0.2, 0.4, defense="none"),
    ]
    false, true = hits.by_kind(some, "verifier")
    assert false.startswith("**Mostly false positives**") and false.endswith(
        ": PLG-MI on Trap-MID 80.0 %, No defence, Trap-MID's augmentation (control) 70.0 %. With "
        "fewer than 3 seeds this is said of the targets that were trained here; of the defences: "
        "cannot tell."
    )
    assert true.startswith("**Mostly real**") and "PLG-MI on No defence 30.0 %." in true


def test_hits_of_one_seed_of_three_are_said_of_the_targets_alone(two):
    """Where two seeds have no hit, there is nothing of them to be mostly false."""
    one = two.inputs.attack_runs["plgmi-trapmid-0"]
    none = replace(one, n_success=0)
    for rows, few in (([one, none, none], True), ([one, one, one], False)):
        (said,) = hits.by_kind([cell(0.8, 0.6, 0.9)._replace(rows=rows)], "verifier")
        assert ("With fewer than 3 seeds" in said) == few


def test_random_latents_of_other_people_are_no_floor_of_these(tmp_path):
    found = found_of(tmp_path)
    (floor,) = [r for r, b in found.params["attack_runs"].items() if b["attack"] == "random"]
    other = floor.replace("none", "other")
    found.params["attack_runs"][other] = found.params["attack_runs"][floor] | {"data": "digits"}
    found.inputs.attack_runs[other] = replace(found.inputs.attack_runs[floor], aa1=0.5)
    assert lines_of(judges.judges(found))[-2][:2] == ["floor: random latents", "5.0"]


@pytest.mark.parametrize("judge", ["evaluator", "verifier", "identity"])
def test_of_several_panels_the_strictest_is_named(two, judge):
    """They are no seeds of one, and what they agree on has no mean."""
    runs = dict(two.inputs.attack_runs)
    assert agreed_on_real(two.params, runs).words() == "94.0 (89–99)"
    params = json.loads(json.dumps(two.params))
    params["evaluators"]["wide"] = params["evaluators"]["evaluator"]
    row = next(row for row in runs if row.startswith("plgmi-none"))  # neither first nor last
    params["attack_runs"][row][judge] = "wide"
    for share, words in ((0.5, "≥ 50.0"), (0.99, "≥ 94.0 (89–99)")):
        judges = replace(runs[row].judges, agree_on_real=share)
        of_row = {row: replace(runs[row], judges=judges, intervals={})}
        assert agreed_on_real(params, runs | of_row).words() == words
    assert agreed_on_real(params, runs | of_row).share == "at least 94.0 %"
    assert agreed_on_real(two.params, runs).share == "94.0 %"


def test_the_most_that_all_judges_grant_is_that_of_the_best_attack(two):
    granted = hits.granted(two)
    counts = {"gmi": (4, 6), "plgmi": (12, 14), "plgmi_distil": (42, 44)}
    agreed = {attack: sum(one // 2 // 2 for one in seeds) for attack, seeds in counts.items()}
    assert max(agreed, key=agreed.get) == "plgmi_distil"
    (rate,) = re.findall(r"Trap-MID ([\d.]+) % \(PLG-MI on a student\)", granted)
    own = [fake_study._judged(one / 100, one)["agree"] for one in counts["plgmi_distil"]]
    assert float(rate) == pytest.approx(50 * sum(own), abs=0.06)


def test_a_number_that_one_seed_lacks_is_the_mean_of_the_others(two):
    rows = [two.inputs.attack_runs[f"plgmi-none-{seed}"] for seed in (0, 1)]
    object.__setattr__(rows[1], "judges", None)
    assert measured(rows, "judges.agree").value == rows[0].judges.agree
    assert measured(rows[1:], "judges.agree") == Measured(None)
    assert measured(rows[:1], "judges.agree").words() == "23.5 (18–28)"


@pytest.mark.parametrize(
    ("rows", "added"),
    [
        (("verifier", "identity"), ", the verifier accepts the image, and nobody is nearer by"),
        (("verifier",), " and the verifier accepts the image"),
        (("verifier", "looks"), " and the verifier accepts the image"),
        (("looks",), ""),
    ],
)
def test_a_reader_of_looks_has_no_voice(two, rows, added):
    own = dict(two.inputs.judges)
    own["looks"] = replace(own["identity"], votes=False)
    chosen = [own[row] for row in rows]
    assert judges._voices(chosen).startswith(added) and (added or not judges._voices(chosen))
    assert ("it has no voice" in judges._how(chosen, "verifier")) == ("looks" in rows)
    assert judges._title(own["looks"]) == "Reader of attributes"


def about_agreement(found):
    """The line of the first screen that says what "all judges agree" means; empty: nothing."""
    return "".join(one for one in verdict.front(found) if str(one).startswith("**All judges agree"))


@pytest.mark.parametrize(
    ("asked", "votes", "known", "said", "unsaid"),
    [
        ({}, True, True, ("that never saw the private people", ", and by its appearance"), ()),
        ({}, True, False, ("a verifier accepts", ", and by its appearance"), ("never saw",)),
        ({}, False, True, ("never saw the private people accepts",), ("appearance",)),
        ({"identity": "weights/none"}, True, True, ("a verifier that",), ("appearance",)),
        ({"verifier": "weights/none"}, True, True, ("by its appearance",), ("verifier",)),
    ],
)
def test_the_first_screen_says_which_judges_have_to_agree(
    tmp_path, asked, votes, known, said, unsaid
):
    found = found_of(tmp_path, **asked)
    own = found.inputs.judges
    checks = {"judge_knows_no_private_person": True} if known else {}
    own["verifier"] = replace(own["verifier"], checks=checks)
    own["identity"] = replace(own["identity"], votes=votes)
    text = about_agreement(found)
    assert all(part in text for part in said) and not any(part in text for part in unsaid)


def test_without_a_judge_of_other_people_nobody_has_to_agree(tmp_path):
    """A second evaluator is of the evaluator's own kind, and a judge's numbers are there for it."""
    found = found_of(tmp_path, verifier="weights/none", identity="weights/none")
    assert found.metrics["attacks"]["plgmi"]["none"]["judges"] is not None
    assert not about_agreement(found)


def test_a_judge_of_looks_is_not_named_among_those_who_agree(tmp_path):
    study = fake_study.write(tmp_path)
    rows = [row for row, block in study["attack_runs"].items() if block["attack"] != "brepmi"]
    for row in rows:
        judged = read(tmp_path, study)[0].attack_runs[row].judges
        own = {name: vars(one) for name, one in judged.disagreement.items() if name == "verifier"}
        edit_attack_run(tmp_path, row, judges=asdict(judged) | {"disagreement": own})
    inputs, metrics = read(tmp_path, study)
    for one in headlines(findings.Findings(inputs=inputs, metrics=metrics, pictures={})):
        assert "all judges agree" in one.sentence() and "appearance" not in one.sentence()


def test_what_is_not_known_of_a_judge_is_not_said(two):
    """Of published weights, or of public people of another source than the private ones."""
    own = two.inputs.judges
    assert "Judges learnt from other people" in judges._how(list(own.values()), "verifier")
    unknown = replace(own["verifier"], checks={"blank_images_refused": True})
    text = judges._how([unknown, own["identity"]], "verifier")
    assert "learnt from other people" not in text
    assert "; whether one learnt from the private people is not known: " in text
