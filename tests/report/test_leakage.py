"""What leaks of people's looks: which group, and whether a defence lets less of it out."""

from __future__ import annotations

import copy
import dataclasses

import pytest
from matplotlib.figure import Figure
from scipy import stats

import fake_study
from fake_report import read
from trapmid.metrics.statistics.intervals import Interval
from trapmid.report import figures, findings, leakage, looks, trait_chart
from trapmid.report.judged import Measured
from trapmid.report.leakage import Leakage, Trait
from trapmid.report.sections import attributes

PNG = b"\x89PNG\r\n"


def number(value, low=None, high=None, kind="identities"):
    return Measured(value, None if low is None else Interval(low=low, high=high, kind=kind, n=24))


def trait(name, leaked, ceiling=0.9):
    return Trait(name, leaked, 0.48, ceiling)


def leak(defense, leaked, aa1=0.5, traits=(), seeds=3):
    overall = trait("everything together", leaked, 1.0)
    return Leakage(defense, "plgmi", aa1, seeds, overall, list(traits))


def two_seeds(low, high, end):
    """The range of two seeds, and the intervals within their runs up to `end`."""
    runs = [number(one, low - 0.05, end).interval for one in (low, high)]
    ends = Interval(low=low, high=high, kind="range", n=2)
    return Measured((low + high) / 2, ends, tuple(runs))


BASE = leak("none", number(0.9, 0.85, 0.95), aa1=0.8)


@pytest.mark.parametrize(
    ("leaked", "said"),
    [
        (number(0.7, 0.6, 0.8), "less"),
        (number(0.7, 0.6, 0.85), "cannot tell"),  # they meet
        (number(0.97, 0.96, 0.99), "more"),
        (number(0.7), "cannot tell"),
        (number(0.7, 0.69, 0.71, "range"), "cannot tell"),  # of two seeds, without their own
        (two_seeds(0.65, 0.75, 0.8), "less"),  # the intervals of both runs lie below
        (two_seeds(0.65, 0.75, 0.86), "cannot tell"),
        (number(None), "cannot tell"),
    ],
)
def test_less_and_more_are_said_where_the_intervals_do_not_meet(leaked, said):
    assert leakage.compared(leak("trapmid", leaked), BASE) == said


def test_of_two_seeds_the_ends_reach_over_both_runs():
    """And there are none where one of the two has no interval."""
    runs = [number(0.6, 0.5, 0.7).interval, number(0.7, 0.6, 0.9).interval]
    span = Interval(low=0.6, high=0.7, kind="range", n=2)
    assert Measured(0.65, span, tuple(runs)).ends == (0.5, 0.9)
    assert Measured(0.65, span, tuple(runs[:1])).ends is None
    assert number(0.6, 0.5, 0.7).ends == (0.5, 0.7)


def test_from_sixty_percent_of_real_images_on_a_group_is_read():
    assert trait("skin", number(0.7), ceiling=0.6).readable
    assert not trait("skin", number(0.7), ceiling=0.599).readable
    assert trait("skin", number(0.7), ceiling=None).readable


def by_person(*differences, seeds=1):
    """Shares of people with a defence that takes these differences away, and without one."""
    plain = {who: 0.6 + 0.05 * who for who in range(len(differences))}
    less = {who: plain[who] - one for who, one in enumerate(differences)}
    return dict.fromkeys(range(seeds), less), dict.fromkeys(range(seeds), plain)


SAME = (0.1, 0.09, 0.11, 0.1, 0.09, 0.11, 0.1, 0.1)


def test_the_same_people_tell_what_intervals_that_meet_cannot():
    """People differ by 0.35, and every one of them loses 0.1: the two intervals meet by far."""
    less, plain = by_person(*SAME)
    base = leak("none", number(0.775, 0.7, 0.85), seeds=1)._replace(people=plain)
    one = leak("trapmid", number(0.675, 0.6, 0.75), seeds=1)._replace(people=less)
    assert leakage.compared(one, base) == "cannot tell"
    (paired,) = leakage.differences({"none": base, "trapmid": one}).values()
    assert paired.value == pytest.approx(-0.1) and paired.p == pytest.approx(2 / 2**8)
    assert paired.interval.low < -0.1 < paired.interval.high < 0
    assert leakage.compared(one, base, paired) == "less"
    assert attributes.sentence(one, base, paired).startswith(
        "**Trap-MID**: in these targets, looks leak less; of the defence: cannot tell. By PLG-MI "
        "67.5 % (60.0 to 75.0 %) of others are farther away, 10.0 points less than without a "
        "defence (95 % interval −10."
    )


def test_differences_have_holms_correction_and_need_people_in_common():
    less, plain = by_person(*SAME)
    found = {
        "none": leak("none", number(0.8))._replace(people=plain),
        "trapmid": leak("trapmid", number(0.7))._replace(people=less),
        "mid": leak("mid", number(0.7))._replace(people=less),
        "bido": leak("bido", number(0.7))._replace(people={0: {99: 0.5}}),
        "ted": leak("ted", number(0.7)),
    }
    tested = leakage.differences(found)
    assert list(tested) == ["trapmid", "mid"]
    assert [one.p for one in tested.values()] == [pytest.approx(4 / 2**8)] * 2


def test_from_three_seeds_on_the_difference_is_between_seeds():
    ours, theirs = {0: {0: 0.6}, 1: {0: 0.7}, 2: {0: 0.65}}, {seed: {0: 0.9} for seed in range(3)}
    found = looks.difference(ours, theirs)
    wanted = stats.ttest_1samp([-0.3, -0.2, -0.25], 0)
    ends = wanted.confidence_interval()
    assert found.value == pytest.approx(-0.25) and found.p == pytest.approx(wanted.pvalue)
    assert (found.interval.low, found.interval.high) == pytest.approx((ends.low, ends.high))
    assert found.interval.kind == "seeds"
    assert found.seeds == 3


def test_seeds_in_common_decide_of_what_a_difference_is():
    """Three seeds each, one of them in common; and a seed in which nothing was found is none."""
    plain, less = dict.fromkeys(range(8), 0.9), dict.fromkeys(range(8), 0.7)
    ours, theirs = dict.fromkeys((0, 1, 2), less), dict.fromkeys((2, 3, 4), plain)
    found = looks.difference(ours, theirs)
    assert (found.seeds, found.p) == (1, pytest.approx(2 / 2**8))
    base = leak("none", number(0.9))._replace(people=theirs)
    one = leak("trapmid", number(0.7))._replace(people=ours)
    assert attributes.sentence(one, base, found).startswith(
        "**Trap-MID**: in these targets, looks leak less; of the defence: cannot tell."
    )
    empty = looks.difference(ours | {2: {}}, dict.fromkeys(range(3), plain))
    assert (empty.seeds, empty.value) == (2, pytest.approx(-0.2))
    assert looks.difference({0: {}}, {0: plain}) is None


def test_what_is_left_is_counted_above_chance():
    """0.7 is half of the way from chance to 0.9."""
    assert leakage.share_left(leak("trapmid", number(0.7)), BASE) == pytest.approx(0.5)
    assert leakage.share_left(leak("trapmid", number(0.4)), BASE) == 0.0
    assert leakage.share_left(BASE, leak("none", number(0.5))) is None


def test_a_defence_is_held_against_its_own_setting():
    found = {name: leak(name, number(0.9)) for name in ("none", "none@other", "ted@other", "ted")}
    assert leakage.undefended(found, "ted@other") is found["none@other"]
    assert leakage.undefended(found, "ted") is found["none"]
    assert leakage.undefended(found, "none@other") is None
    assert leakage.undefended({"ted": found["ted"]}, "ted") is None


def test_the_sentence_answers_the_claim():
    traits = [
        trait("skin", number(0.73, 0.6, 0.8)),
        trait("iris", number(0.7, 0.6, 0.8), ceiling=0.54),  # cannot be read at all
        trait("glasses", number(0.53, 0.45, 0.6)),
    ]
    one = leak("trapmid", number(0.7, 0.6, 0.8), aa1=0.6, traits=traits)
    assert attributes.sentence(one, BASE) == (
        "**Trap-MID**: looks leak less, not the evaluator's verdict alone. By PLG-MI 70.0 % (60.0 "
        "to 80.0 %) of others are farther away. Of what leaks without a defence above chance, 50 % "
        "is left; of the highest AA-1, 75 %. 1 of 2 features is above chance: skin."
    )
    assert attributes.sentence(BASE, None) == (
        "**No defence**: by PLG-MI 90.0 % (85.0 to 95.0 %) of others are farther away. No feature "
        "is above chance, of 0 that can be read."
    )


@pytest.mark.parametrize(
    ("leaked", "seeds", "said"),
    [
        (number(0.7, 0.6, 0.8), 3, "looks leak less, not the evaluator's verdict alone."),
        (number(0.7, 0.6, 0.8), 1, "in these targets, looks leak less; of the defence: cannot"),
        (two_seeds(0.65, 0.75, 0.8), 2, "in these targets, looks leak less; of the defence:"),
        (number(0.97, 0.96, 0.99), 1, "in these targets, looks leak more; of the defence:"),
        (number(0.7, 0.6, 0.9), 1, "cannot tell whether looks leak less."),
    ],
)
def test_a_verdict_on_a_defence_takes_three_seeds(leaked, seeds, said):
    one = leak("trapmid", leaked, seeds=seeds)
    assert attributes.sentence(one, BASE).startswith(f"**Trap-MID**: {said}")
    if "of the defence" in said:  # both need three
        few = leak("none", BASE.overall.leaked, seeds=seeds)
        one = leak("trapmid", leaked, seeds=3)
        assert attributes.sentence(one, few).startswith(f"**Trap-MID**: {said}")


def test_what_all_people_share_is_not_called_chance():
    """Everybody's looks are there in full: the means of people do not differ."""
    traits = [trait("skin", number(1.0)), trait("glasses", number(0.5))]
    one = leak("trapmid", number(1.0), traits=traits)
    words = attributes.sentence(one, None)
    assert "No feature is above chance" not in words
    assert words.endswith("Of 2 features, above chance but without an interval: skin 100.0 %.")
    both = leak("trapmid", number(1.0), traits=[*traits, trait("mouth", number(0.7, 0.6, 0.8))])
    assert attributes.sentence(both, None).endswith(
        "1 of 3 features is above chance: mouth. Above chance, but without an interval: skin "
        "100.0 %."
    )


# --- the study's ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("leaks")
    return root, fake_study.write(root, (0, 1))


@pytest.fixture(scope="module")
def found(study):
    return read(*study)


def test_a_defence_has_the_numbers_of_its_strongest_attack(found):
    """Trap-MID's is the student: 42 and 44 hits, of which the reader takes 14 each."""
    one = leakage.leakages(*found)["trapmid"]
    assert (one.attack, one.seeds, one.aa1) == ("plgmi_distil", 2, 0.43)
    assert one.overall.leaked.value == pytest.approx(0.5 + 0.14 / 2)
    assert one.overall.ceiling == pytest.approx(0.5 + 0.98 / 2)
    assert one.overall.floor == pytest.approx(0.5 + (0.01 + 0.02) / 2 / 2)  # of both seeds
    assert [(t.name, t.leaked.value) for t in one.traits] == [("skin", one.overall.leaked.value)]
    assert one.overall.leaked.interval.kind == "range"
    assert one.traits[0].leaked.ends == (0.52, 0.62) and one.traits[0].leaks  # of both runs


def test_the_attack_that_brings_most_to_light_counts_not_the_one_of_the_highest_aa1(study):
    """Of the weakest attack on Trap-MID, and on no defence, the reader sees most."""
    inputs, metrics = read(*study)
    for defense, farther in (("trapmid", 0.9), ("none", 0.95)):
        for seed in (0, 1):
            scores = inputs.attack_runs[f"gmi-{defense}-{seed}"]
            seen = dataclasses.replace(scores.judges.identity, farther=farther)
            judged = dataclasses.replace(scores.judges, identity=seen)
            changed = dataclasses.replace(scores, judges=judged)
            inputs.attack_runs[f"gmi-{defense}-{seed}"] = changed
    leaks = leakage.leakages(inputs, metrics)
    assert {name: one.attack for name, one in leaks.items()} == {
        "none": "gmi",
        "none_aug": "plgmi",
        "trapmid": "gmi",
    }
    assert leaks["trapmid"].overall.leaked.value == 0.9 and leaks["trapmid"].aa1 == 0.43
    words = attributes.sentence(leaks["trapmid"], leaks["none"])
    assert "By GMI 90.0 %" in words
    some = dataclasses.replace(inputs.attack_runs["gmi-trapmid-0"], left_out=5)
    inputs.attack_runs["gmi-trapmid-0"] = some
    assert leakage.leakages(inputs, metrics)["trapmid"].attack == "plgmi_distil"


def test_an_attack_that_found_few_people_does_not_rank_beside_those_that_found_all(study):
    """Of a few whose looks are easily found it brings all to light."""
    inputs, metrics = read(*study)
    for seed in (0, 1):
        row = f"gmi-trapmid-{seed}"
        scores = inputs.attack_runs[row]
        seen = dataclasses.replace(scores.judges.identity, farther=0.99)
        judged = dataclasses.replace(scores.judges, identity=seen)
        inputs.attack_runs[row] = dataclasses.replace(scores, judges=judged, coverage=1.0)
    assert leakage.leakages(inputs, metrics)["trapmid"].attack == "gmi"
    inputs.attack_runs[row] = dataclasses.replace(inputs.attack_runs[row], coverage=0.1)
    assert leakage.leakages(inputs, metrics)["trapmid"].attack != "gmi"


def test_a_judge_of_other_people_is_no_ceiling(study):
    root, made = study
    inputs, metrics = read(root, copy.deepcopy(made))
    for block in inputs.params["attack_runs"].values():
        block["identity"] = "data/features/judges/another.pt"
    one = leakage.leakages(inputs, metrics)["trapmid"]
    assert one.overall.ceiling is None
    assert "everything together 57 %, skin 57 %." in attributes._told(one)


def test_every_defence_has_a_chart_that_is_told(found):
    inputs, metrics = found
    drawn = figures._attributes(inputs, metrics)
    assert list(drawn) == [f"figures/attributes/{name}.png" for name in fake_study.DEFENSES]
    assert all(png.startswith(PNG) for png in drawn.values())
    given = findings.Findings(inputs=inputs, metrics=metrics, pictures=drawn)
    words, pictures = attributes.attributes(given).blocks[-2:]
    pictures = pictures.shown
    assert "the 95 % interval (of two seeds their range); an orange" in words
    assert pictures[2].caption == "PLG-MI on a student on Trap-MID"
    assert "skin 57 % of at most 99 %" in pictures[2].alt


# --- the chart ------------------------------------------------------------------------------------


def drawn(*traits, undefended=()):
    ax = Figure().subplots()
    for row, one in enumerate(traits):
        trait_chart._draw_range(ax, row, one)
    trait_chart._draw_others(ax, [one.name for one in traits], undefended)
    for row, one in enumerate(traits):
        trait_chart._draw_dot(ax, row, one)
    trait_chart._name_axes(ax, traits)
    return ax


def test_every_number_is_where_it_belongs():
    ax = drawn(trait("skin", number(0.7, 0.6, 0.8)), undefended=[trait("skin", number(0.9))])
    spots = {line.get_marker(): list(line.get_xdata()) for line in ax.lines}
    assert spots["|"] == [48.0] and spots["D"] == [90.0]
    assert spots["s"] == [70.0] and spots["o"] == [90.0]
    assert [60.0, 80.0] in [list(line.get_xdata()) for line in ax.lines]


def test_what_cannot_be_read_is_in_brackets():
    ax = drawn(trait("skin", number(0.7)), trait("iris", number(0.7), ceiling=0.54))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["skin", "(iris colour)"]


def test_a_low_interval_stays_on_the_axis():
    low, _ = drawn(trait("skin", number(0.4, 0.2, 0.6))).get_xlim()
    assert low < 20


def test_attributes_are_listed_one_by_one_between_floor_and_ceiling(tmp_path):
    """The strongest attack on Trap-MID hits 42 of 100, so 14 are nearest: 0.5 + 0.14 / 2."""
    study = fake_study.write(tmp_path, (0,))
    inputs, metrics = read(tmp_path, study)
    given = findings.Findings(inputs=inputs, metrics=metrics, pictures={})
    (fold,) = [b for b in attributes.attributes(given).blocks if hasattr(b, "opened")]
    assert fold.title == "1 yes/no attributes, one by one"
    (line,) = fold.blocks[1].frame.to_numpy().tolist()
    heads = list(fold.blocks[1].frame.columns)
    assert heads[0] == "Attribute" and heads[-1] == "Real images"
    assert line[:2] == ["Male", "50.5"]  # random latents: 1 of 100
    assert line[heads.index("PLG-MI on a student on Trap-MID")] == "57.0"
    assert line[-1] == "99.0"
