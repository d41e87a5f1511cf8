"""Comparisons of a made-up study, against tests that are written out and against SciPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

import fake_study
from trapmid.report import differences, summary
from trapmid.report.sections import compared

PEOPLE = 12


def hit_shares(study, rates, seed=0):
    """Shares of five images of every person, about the rate of the row's attack and defence."""
    draw = np.random.default_rng(seed)
    found = {}
    for row, block in study["attack_runs"].items():
        defense = study["targets"][block["target"]]["defense"]
        hits = draw.binomial(5, rates.get(defense, 0.5), PEOPLE)
        found[row] = {person: hit / 5 for person, hit in enumerate(hits.tolist())}
    return found


def made(seeds, rates, **changed):
    study = fake_study.params(seeds)
    scores = fake_study.scores(study)
    shares = hit_shares(study, rates) | changed
    return summary.summarise(study, *scores, {}, {"aa1": shares})["comparisons"], shares


def of(found, attack, defense, against):
    (one,) = (
        c for c in found if (c["attack"], c["defense"], c["against"]) == (attack, defense, against)
    )
    return one


RATES = {"none": 0.8, "none_aug": 0.8, "trapmid": 0.2}


def grid(shares, attack, ours, theirs, seeds):
    """Differences (seeds, people), written out."""
    return np.array(
        [
            [
                shares[f"{attack}-{ours}-{seed}"][p] - shares[f"{attack}-{theirs}-{seed}"][p]
                for p in range(PEOPLE)
            ]
            for seed in seeds
        ]
    )


def test_one_seed_allows_no_verdict_about_the_defence():
    found, shares = made((0,), RATES)
    one = of(found, "plgmi", "trapmid", "none")
    by_person = grid(shares, "plgmi", "trapmid", "none", [0])[0]
    assert one["difference"] == pytest.approx(by_person.mean(), abs=1e-6)
    assert (one["verdict"], one["over_seeds"], one["seeds"]) == ("cannot tell", None, [0])
    assert one["reason"].startswith("1 of the 3 seeds that a verdict needs; these trained targets")
    within = one["these_targets"]
    theirs = stats.permutation_test(
        (by_person,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert within["p"] == pytest.approx(theirs.pvalue, abs=1e-9)
    assert within["verdict"] == "lower"
    assert within["interval"]["kind"] == "identities"
    assert within["interval"]["low"] < one["difference"] < within["interval"]["high"] < 0


def test_two_seeds_allow_none_either():
    found, shares = made((0, 1), RATES)
    assert {one["verdict"] for one in found} == {"cannot tell"}
    assert {one["over_seeds"] for one in found} == {None}
    one = of(found, "plgmi", "trapmid", "none")
    by_person = grid(shares, "plgmi", "trapmid", "none", [0, 1]).mean(axis=0)
    within = one["these_targets"]  # a person's mean over both
    assert within["interval"]["low"] < one["difference"] < within["interval"]["high"] < 0
    factor = stats.t.ppf(0.975, PEOPLE - 1) + stats.t.ppf(0.8, PEOPLE - 1)
    least = factor * by_person.std(ddof=1) / PEOPLE**0.5
    assert within["detectable"] == pytest.approx(least, abs=1e-6)


def test_three_seeds_are_held_against_each_other():
    found, shares = made((0, 1, 2), RATES)
    one = of(found, "gmi", "trapmid", "none")
    by_seed = grid(shares, "gmi", "trapmid", "none", [0, 1, 2]).mean(axis=1)
    ours = [np.mean(list(shares[f"gmi-trapmid-{s}"].values())) for s in range(3)]
    theirs = [np.mean(list(shares[f"gmi-none-{s}"].values())) for s in range(3)]
    over = one["over_seeds"]
    assert over["p"] == pytest.approx(stats.ttest_rel(ours, theirs).pvalue, abs=1e-9)
    ends = stats.ttest_rel(ours, theirs).confidence_interval()
    assert (over["interval"]["low"], over["interval"]["high"]) == pytest.approx(ends, abs=1e-6)
    assert one["verdict"] == over["verdict"] == "lower"
    factor = 4.302653 + 1.060660
    assert over["detectable"] == pytest.approx(factor * by_seed.std(ddof=1) / 3**0.5, abs=1e-5)
    control = of(found, "gmi", "none_aug", "none")
    assert control["verdict"] == "cannot tell" and "it would find 0." in control["reason"]


def test_holms_correction_is_over_the_distinct_pairs_of_the_study():
    """A worst case of the attack that is compared already is no further question."""
    found, _ = made((0,), RATES)
    same = of(found, differences.WORST, "none_aug", "none")
    assert same["these_targets"] == of(found, "plgmi", "none_aug", "none")["these_targets"]
    by_runs = {
        (o["attack"], o["defense"], o["against"]): o["these_targets"]
        for o in found
        if (o["attack"], o["defense"]) != (differences.WORST, "none_aug")
    }
    ordered = sorted(by_runs.values(), key=lambda one: one["p"])
    corrected, m = [], len(ordered)
    for rank, one in enumerate(ordered):
        corrected.append(min(1, max([(m - rank) * one["p"], *corrected])))
    assert [one["p_holm"] for one in ordered] == pytest.approx(corrected, abs=1e-7)


def test_every_defence_meets_none_and_the_control_for_each_attack_of_both():
    found, _ = made((0,), RATES)
    study = fake_study.params((0,))
    groups = differences.Groups.of(study).attacks
    wanted = {
        (attack, defense, against)
        for attack, by_defense in groups.items()
        for defense, against in (("none_aug", "none"), ("trapmid", "none"), ("trapmid", "none_aug"))
        if defense in by_defense and against in by_defense
    }
    of_attacks = [(o["attack"], o["defense"], o["against"]) for o in found]
    assert {one for one in of_attacks if one[0] != differences.WORST} == wanted
    worst = [one[1:] for one in of_attacks if one[0] == differences.WORST]
    assert worst == [("none_aug", "none"), ("trapmid", "none"), ("trapmid", "none_aug")]


def test_the_worst_case_compares_each_defences_own_attack():
    """Plain PLG-MI is the worst for `none`, the one that asks a student for Trap-MID."""
    found, shares = made((0,), RATES)
    ours, theirs = shares["plgmi_distil-trapmid-0"], shares["plgmi-none-0"]
    wanted = np.mean([ours[p] - theirs[p] for p in range(PEOPLE)])
    one = of(found, differences.WORST, "trapmid", "none")
    assert one["difference"] == pytest.approx(wanted, abs=1e-6)


def test_only_people_that_both_attacks_had_are_compared():
    part = {3: 1.0, 5: 0.4}
    found, shares = made((0,), RATES, **{"gmi-trapmid-0": part})
    one = of(found, "gmi", "trapmid", "none")
    assert one["identities"] == 2
    wanted = np.mean([part[p] - shares["gmi-none-0"][p] for p in part])
    assert one["difference"] == pytest.approx(wanted, abs=1e-6)


def test_one_person_has_no_interval_and_decides_nothing():
    found, _ = made((0,), RATES, **{"gmi-trapmid-0": {3: 0.0}})
    within = of(found, "gmi", "trapmid", "none")["these_targets"]
    assert (within["interval"], within["p"], within["detectable"]) == (None, 1, None)
    assert within["verdict"] == "cannot tell"


@pytest.mark.parametrize("change", ["evaluator", "people", "shares"])
def test_what_has_nothing_in_common_is_not_compared(change):
    study = fake_study.params((0,))
    evaluators, targets, attack_runs = fake_study.scores(study)
    shares = hit_shares(study, RATES)
    if change == "evaluator":
        one = attack_runs["gmi-trapmid-0"]
        attack_runs["gmi-trapmid-0"] = replace(
            one, protocol=replace(one.protocol, evaluator="other")
        )
    elif change == "people":
        shares["gmi-trapmid-0"] = {99: 1.0}
    else:
        del shares["gmi-trapmid-0"]
    made = summary.summarise(study, evaluators, targets, attack_runs, {}, {"aa1": shares})
    found = made["comparisons"]
    assert ("gmi", "trapmid") not in {(one["attack"], one["defense"]) for one in found}
    assert ("gmi", "none_aug") in {(one["attack"], one["defense"]) for one in found}


def test_other_data_has_its_own_controls():
    study = fake_study.params((0,))
    evaluators, targets, attack_runs = fake_study.scores(study)
    for row in ("plgmi-none-0", "plgmi-trapmid-0"):
        study["attack_runs"][f"ffhq-{row}"] = study["attack_runs"][row] | {"data": "faces_ffhq"}
        attack_runs[f"ffhq-{row}"] = attack_runs[row]
    shares = hit_shares(study, RATES)
    made = summary.summarise(study, evaluators, targets, attack_runs, {}, {"aa1": shares})
    found = made["comparisons"]
    pairs = {(o["defense"], o["against"]) for o in found if "@" in o["defense"] + o["against"]}
    assert pairs == {("trapmid@faces_ffhq", "none@faces_ffhq")}


def test_an_audited_model_meets_a_control_of_another_architecture():
    """On the same people alone: a label of other data is another person."""
    study = fake_study.params((0,))
    evaluators, targets, attack_runs = fake_study.scores(study)
    first = study["targets"].pop("trapmid-0")
    audited = first | {"defense": "audited", "arch": "exported"}
    study["targets"] = {"trapmid-0": audited, **study["targets"]}
    study["attack_runs"]["elsewhere"] = study["attack_runs"]["gmi-none-0"] | {"data": "others"}
    attack_runs["elsewhere"] = attack_runs["gmi-none-0"]
    arch = study["targets"]["none-0"]["arch"]
    shares = hit_shares(study, RATES | {"audited": 0.2})
    made = summary.summarise(study, evaluators, targets, attack_runs, {}, {"aa1": shares})
    own = [one for one in made["comparisons"] if one["defense"] == "audited"]
    assert {one["against"] for one in own} == {f"none@{arch}", f"none_aug@{arch}", "random"}
    wanted = grid(shares, "gmi", "trapmid", "none", [0]).mean()
    one = of(own, "gmi", "audited", f"none@{arch}")
    assert one["difference"] == pytest.approx(wanted, abs=1e-6)
    assert of(own, differences.WORST, "audited", f"none@{arch}")
    assert not [o for o in made["comparisons"] if o["against"] == "audited"]


def test_the_order_of_people_changes_nothing():
    found, shares = made((0, 1, 2), RATES)
    turned = {row: dict(reversed(one.items())) for row, one in shares.items()}
    assert made((0, 1, 2), RATES, **turned)[0] == found


def scored(hit, agreed):
    """A file of data/scored, as far as it says who was recognised: two images of each of two."""
    judged = {} if agreed is None else {"agreed": torch.tensor(agreed)}
    labels = torch.tensor([4, 4, 9, 9])
    return {"hit": torch.tensor(hit), "labels": labels, "judged": judged}


def test_shares_are_of_the_evaluator_and_of_all_judges():
    found = differences.shares(
        {
            "gmi-none-0": scored([True, True, True, False], [True, False, False, False]),
            "gmi-trapmid-0": scored([False, True, False, False], None),
        }
    )
    assert found["aa1"] == {"gmi-none-0": {4: 1.0, 9: 0.5}, "gmi-trapmid-0": {4: 0.5, 9: 0.0}}
    assert found["agree"] == {"gmi-none-0": {4: 0.5, 9: 0.0}}


def both_measures(change=lambda study, attack_runs: None):
    """A study in which all judges agree on other images than the evaluator recognises."""
    study = fake_study.params((0,))
    evaluators, targets, attack_runs = fake_study.scores(study)
    change(study, attack_runs)
    shares = {
        "aa1": hit_shares(study, RATES),
        "agree": hit_shares(study, {"none": 0.5, "none_aug": 0.5, "trapmid": 0.45}, seed=1),
    }
    made = summary.summarise(study, evaluators, targets, attack_runs, {}, shares)
    by_measure = {
        measure: [one for one in made["comparisons"] if one["measure"] == measure]
        for measure in ("aa1", "agree")
    }
    return by_measure, shares


def test_what_all_judges_agree_on_is_compared_apart():
    """With its own shares and its own family of tests: the evaluator's p values are as alone."""
    found, shares = both_measures()
    alone, _ = made((0,), RATES)
    assert found["aa1"] == alone
    one = of(found["agree"], "plgmi", "trapmid", "none")
    ours, theirs = (shares["agree"][f"plgmi-{d}-0"] for d in ("trapmid", "none"))
    assert one["difference"] == pytest.approx(
        np.mean([ours[p] - theirs[p] for p in ours]), abs=1e-6
    )
    assert one["these_targets"]["verdict"] == "cannot tell"
    assert of(found["aa1"], "plgmi", "trapmid", "none")["these_targets"]["verdict"] == "lower"


def test_the_worst_case_of_all_judges_is_their_own_attack():
    """They agree most on GMI's images of Trap-MID, of which the evaluator recognises fewest."""

    def most_on_gmi(_, attack_runs):
        for row, scores in attack_runs.items():
            agree = 0.9 if row == "gmi-trapmid-0" else 0.1
            if scores.judges is not None:
                attack_runs[row] = replace(scores, judges=replace(scores.judges, agree=agree))

    found, shares = both_measures(most_on_gmi)
    ours, theirs = shares["agree"]["gmi-trapmid-0"], shares["agree"]["plgmi-none-0"]
    one = of(found["agree"], differences.WORST, "trapmid", "none")
    assert one["difference"] == pytest.approx(
        np.mean([ours[p] - theirs[p] for p in ours]), abs=1e-6
    )


@pytest.mark.parametrize("voice", ["verifier", "identity"])
def test_agreement_of_other_judges_is_not_compared(voice):
    def other(study, _):
        study["attack_runs"]["gmi-trapmid-0"][voice] = "data/features/judges/other.pt"

    found, _ = both_measures(other)
    pairs = {m: {(one["attack"], one["defense"]) for one in found[m]} for m in found}
    assert ("gmi", "trapmid") in pairs["aa1"]
    assert ("gmi", "trapmid") not in pairs["agree"] and ("gmi", "none_aug") in pairs["agree"]


class Told:
    """What the section asks of a study's findings."""

    def __init__(self, comparisons):
        self.metrics = {"comparisons": comparisons} if comparisons else {}


def test_the_report_says_what_cannot_be_told():
    found, _ = made((0,), RATES)
    shown = compared.compared(Told(found)).blocks[2].frame
    assert len(shown) == len(found)
    assert set(shown["Verdict"]) == {"cannot tell"}
    pair = "Trap-MID, against: No defence"
    line = shown[(shown["Attack"] == "PLG-MI") & (shown["Defence, against"] == pair)].iloc[0]
    one = of(found, "plgmi", "trapmid", "none")
    assert line["These targets"] == "lower" and one["difference"] < 0
    assert line["Difference"] == f"−{-100 * one['difference']:.1f}"
    assert line["Seeds, people"] == f"1, {one['identities']}"
    assert compared.compared(Told([])).blocks == []


def test_the_report_has_a_table_for_every_measure():
    found, _ = both_measures()
    told = compared.compared(Told([*found["aa1"], *found["agree"]])).blocks
    _, aa1, first, agree, second = told
    assert aa1.startswith("**AA-1**") and agree.startswith("**All judges agree**")
    assert (len(first.frame), len(second.frame)) == (len(found["aa1"]), len(found["agree"]))
    assert (
        set(first.frame["These targets"]) != {"cannot tell"} == set(second.frame["These targets"])
    )


@pytest.mark.parametrize(
    ("people", "p", "shown"),
    [(17, 1e-4, "≤ 0.0004"), (17, 2e-4, "0.0008"), (16, 2 / 2**16, "0.00012")],
)
def test_a_p_value_at_the_draws_resolution_is_a_bound(people, p, shown):
    """Up to sixteen people every way of signs is tried, and the least p is exact."""
    found, _ = made((0,), RATES)
    one = of(found, "plgmi", "trapmid", "none")
    within = one["these_targets"] | {"p": p, "p_holm": 4 * p}
    told = one | {"identities": people, "these_targets": within}
    shown_as = compared.compared(Told([told])).blocks[2].frame["p (Holm)"]
    assert list(shown_as) == [shown]


def test_p_values_over_seeds_are_no_bounds():
    found, _ = made((0, 1, 2), RATES)
    one = of(found, "plgmi", "trapmid", "none")
    within = one["these_targets"] | {"p": 1e-4}
    told = one | {"identities": 40, "these_targets": within}
    shown = compared.compared(Told([told])).blocks[2].frame["p (Holm)"]
    assert not shown.str.startswith("≤").any()


def broken(row, check="target_agreement", seeds=(0, 1, 2), rates=RATES, measure="aa1"):
    """The comparisons of a study in which a row fails a check."""
    study = fake_study.params(seeds)
    scores = fake_study.scores(study)
    scores[2][row].checks[check] = False
    shares = {measure: hit_shares(study, rates)}
    return summary.summarise(study, *scores, {}, shares)["comparisons"]


def test_a_search_that_broke_on_a_defence_is_no_verdict_for_it():
    """Otherwise a broken attack passes for protection; the other attack's verdict stands."""
    found = broken("plgmi-trapmid-1")
    one = of(found, "plgmi", "trapmid", "none")
    assert one["verdict"] == one["these_targets"]["verdict"] == "cannot tell"
    assert one["over_seeds"]["verdict"] == "cannot tell"
    assert one["reason"] == "a check failed: target_agreement"
    assert one["doubted"] == ["target_agreement"]
    assert one["difference"] < 0 and one["these_targets"]["p_holm"] < 0.05
    assert of(found, "worst case", "trapmid", "none")["verdict"] == "cannot tell"
    whole = of(found, "gmi", "trapmid", "none")
    assert whole["verdict"] == "lower" and "doubted" not in whole


def test_a_search_that_broke_on_the_leaking_side_changes_nothing():
    """It got more than on the defence all the same; any other failed check leaves no verdict."""
    assert of(broken("gmi-none-1"), "gmi", "trapmid", "none")["verdict"] == "lower"
    other = of(broken("gmi-none-1", "every_class_attacked"), "gmi", "trapmid", "none")
    assert (other["verdict"], other["doubted"]) == ("cannot tell", ["every_class_attacked"])
    higher = {"none": 0.2, "none_aug": 0.2, "trapmid": 0.8}
    one = of(broken("gmi-trapmid-1", rates=higher), "gmi", "trapmid", "none")
    assert one["verdict"] == "higher"
    one = of(broken("gmi-none-1", rates=higher), "gmi", "trapmid", "none")
    assert (one["verdict"], one["doubted"]) == ("cannot tell", ["target_agreement"])


def test_judges_that_do_not_know_real_people_leave_no_verdict_of_theirs():
    check = "judges_agree_on_real"
    found = broken("gmi-none-0", check, measure="agree")
    assert of(found, "gmi", "trapmid", "none")["doubted"] == [check]
    assert "doubted" not in of(found, "plgmi", "trapmid", "none")
    assert "doubted" not in of(broken("gmi-none-0", check), "gmi", "trapmid", "none")


def test_the_report_stars_what_broke():
    told = compared.compared(Told(broken("plgmi-trapmid-1"))).blocks
    assert told[-1].startswith("A star: a check failed (target agreement) of an attack")
    frame = told[2].frame
    starred = frame[frame["Attack"].str.endswith("*")]
    assert set(starred["Attack"]) == {"PLG-MI*", "worst case*"}
    assert set(starred["Defence, against"].str.partition(",")[0]) == {"Trap-MID"}
    whole = compared.compared(Told(made((0,), RATES)[0])).blocks
    assert not whole[2].frame["Attack"].str.endswith("*").any() and len(whole) == 3


def audit_of(**floor_row):
    """The comparisons with random faces of an audit, whose row has other keys."""
    study = fake_study.params((0,))
    study["targets"]["trapmid-0"]["defense"] = "audited"
    (floor,) = [row for row, block in study["attack_runs"].items() if block["attack"] == "random"]
    study["attack_runs"][floor].update(floor_row)
    rates = {"none": 0.2, "none_aug": 0.2, "audited": 0.9}
    shares = {"aa1": hit_shares(study, rates)}
    shares["aa1"][floor] = dict.fromkeys(range(PEOPLE), 0.2)
    made = summary.summarise(study, *fake_study.scores(study), {}, shares)
    return [one for one in made["comparisons"] if one["against"] == "random"]


def test_an_audited_model_is_held_against_random_faces():
    """At its worst alone, and only against those that were made for its people.

    Whatever their row names as target: they ask none.
    """
    assert audit_of(data="other") == []
    (one,) = audit_of(target="trapmid-0", queried_model="models/targets/trapmid-0")
    assert audit_of(target="none-0", queried_model="models/targets/none-0") == [one]
    assert (one["attack"], one["defense"]) == ("worst case", "audited")
    assert one["these_targets"]["verdict"] == "higher" and one["difference"] > 0.5
    shown = compared.compared(Told([one])).blocks[2].frame["Defence, against"]
    assert list(shown) == ["The audited model, against: random faces"]


def test_few_people_find_nothing_whatever_the_difference():
    """Of five, every way of signs alike is one in sixteen: no p is below 0.05."""
    study = fake_study.params((0,))
    shares = hit_shares(study, RATES)
    for people, finds in ((5, False), (6, True)):
        few = {row: {who: by[who] for who in range(people)} for row, by in shares.items()}
        made_ = summary.summarise(study, *fake_study.scores(study), {}, {"aa1": few})
        within = of(made_["comparisons"], "plgmi", "trapmid", "none")["these_targets"]
        assert (within["detectable"] is not None) == finds == (within["p"] < 0.05)


def test_random_faces_are_a_family_of_their_own():
    """Whether anything leaks does not depend on how many attacks are held against a control."""
    (one,) = audit_of()
    within = one["these_targets"]
    assert within["p"] == within["p_holm"]


def test_a_judge_that_failed_a_check_of_its_own_leaves_no_verdict_of_all():
    """As the mark behind the rate says; by AA-1 alone the comparison stands."""
    study = fake_study.params((0,))
    scores, judges = fake_study.scores(study), fake_study.judge_scores(study)
    judges["verifier"] = replace(judges["verifier"], checks={"blank_images_refused": False})
    shares = {measure: hit_shares(study, RATES) for measure in ("aa1", "agree")}
    made_ = summary.summarise(study, *scores, {}, shares, judges)["comparisons"]
    by = {
        one["measure"]: of([one], "gmi", "trapmid", "none")
        for one in made_
        if (one["attack"], one["defense"], one["against"]) == ("gmi", "trapmid", "none")
    }
    assert by["agree"]["doubted"] == ["blank_images_refused"] and "doubted" not in by["aa1"]
    assert by["agree"]["these_targets"]["verdict"] == "cannot tell"
    assert by["aa1"]["these_targets"]["verdict"] == "lower"
