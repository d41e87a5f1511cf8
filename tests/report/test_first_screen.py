"""What a busy reader sees first: what every defence is worth, in words that need no glossary."""

from __future__ import annotations

import copy
import html
import re
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest

import fake_study
from fake_report import edit_attack_run, first_screen, read, rendered, written
from trapmid.report import headline, twins
from trapmid.report.findings import Findings
from trapmid.report.headline import Ends, Headline
from trapmid.report.worst import most_agreed

CONTROL = "No defence, Trap-MID's augmentation (control)"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("first")
    return root, fake_study.write(root)


@pytest.fixture(scope="module")
def pages(study):
    return written(*study)


def words(text):
    """The text of a page as it is read: no tags, no scripts, no code, no parameters."""
    bare = re.sub(r"<(style|script|pre|code).*?</\1>", " ", text, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", bare))


# --- sentences ----------------------------------------------------------------------------------


def test_a_defence_in_one_sentence():
    one = Headline(
        defense="trapmid",
        attack="plgmi_plus",
        attacks=3,
        seeds=1,
        aa1=0.575,
        accuracy=0.994048,
        undefended=1.0,
        slowdown=3.652,
    )
    assert one.sentence() == (
        "**Trap-MID**: the strongest of 3 attacks, PLG-MI+, gets AA-1 **57.5 %**. It costs 0.6 "
        "points of test accuracy and takes 3.7 times the training time."
    )
    gloss = "PLG-MI+ (PLG-MI that also seeks what public faces of a class share), gets"
    assert gloss in one.sentence(explained=True)


def test_intervals_judges_and_seeds_are_told_where_they_are():
    one = Headline(
        defense="none",
        attack="plgmi",
        attacks=1,
        seeds=3,
        aa1=0.8,
        interval=Ends(0.72, 0.8651, "seeds"),
        agreeing="plgmi",
        judged={"agree": 0.325, "accepted": 0.355, "verifier_aa1": 0.5, "identity_aa1": 0.4},
        agreed=Ends(0.2, 0.45, "seeds"),
        accuracy=1.0,
    )
    assert one.sentence() == (
        "**No defence**: one attack, PLG-MI, gets AA-1 **80.0 %** (95 % interval 72.0 to 86.5 %, "
        "mean of 3 seeds). At worst, all judges agree on **32.5 %** (PLG-MI, 95 % interval 20.0 to "
        "45.0 %): verifier 35.5 %, appearance 40.0 %. "
        "Its test accuracy is 100.0 %."
    )


@pytest.mark.parametrize(
    ("changes", "details"),
    [
        ({"seeds": 2}, " (mean of 2 seeds)."),
        (
            {
                "agreeing": "gmi",
                "judged": {"agree": 0.05, "accepted": 0.1, "identity_aa1": None},
            },
            "**10.0 %**. At worst, all judges agree on **5.0 %** (GMI): verifier 10.0 %.",
        ),
        ({"interval": Ends(0.0, 0.25, "identities")}, " (95 % interval 0.0 to 25.0 %)."),
        ({"interval": Ends(0.0, 0.25, "range")}, " (from 0.0 to 25.0 %)."),
        ({}, "**10.0 %**."),
        ({"doubted": True}, "**10.0 %**\\*."),
        (
            {"broken": ("ppa", "lomma_gmi")},
            "A check failed of PPA\\*, LOMMA (GMI)\\*: this may not be its worst case.",
        ),
        ({"partial": True}, "**10.0 %**†."),
    ],
)
def test_what_is_not_there_is_left_out(changes, details):
    given = {"defense": "mid", "attack": "gmi", "attacks": 2, "seeds": 1, "aa1": 0.1} | changes
    assert Headline(**given).sentence().endswith(details)


def test_what_all_judges_agree_on_may_be_of_another_attack_and_is_said_so():
    given = {"defense": "mid", "attack": "gmi", "attacks": 2, "seeds": 1, "aa1": 0.1}
    judged = {"agree": 0.05, "accepted": 0.1, "identity_aa1": None}
    other = given | {"agreeing": "ppa", "judged": judged, "agreed": Ends(0.01, 0.1, "identities")}
    assert (
        Headline(**other, agreed_of_strongest=0.02)
        .sentence()
        .endswith(
            "At worst, all judges agree on **5.0 %** (PPA, 95 % interval 1.0 to 10.0 %): verifier "
            "10.0 %. That is another attack: of the images of GMI all judges "
            "agree on 2.0 %."
        )
    )
    assert Headline(**other).sentence().endswith("That is another attack.")
    assert "**5.0 %**† (PPA" in Headline(**other, agreed_partly=True).sentence()
    assert "**5.0 %**\\* (PPA" in Headline(**other, agreed_broken=True).sentence()


@pytest.mark.parametrize(
    ("accuracy", "slowdown", "words"),
    [
        (0.9, 2.0, "It costs 5.0 points of test accuracy and takes 2.0 times the training time."),
        (0.95, None, "It costs no test accuracy."),
        (0.9496, 1.0, "It costs no test accuracy and takes 1.0 times the training time."),
        (0.97, None, "It gains 2.0 points of test accuracy."),
    ],
)
def test_what_a_defence_costs(accuracy, slowdown, words):
    one = Headline(
        defense="mid",
        attack=None,
        attacks=0,
        seeds=0,
        aa1=None,
        accuracy=accuracy,
        undefended=0.95,
        slowdown=slowdown,
    )
    assert one.sentence() == f"**MID**: no attack ran. {words}"


@pytest.mark.parametrize(
    ("devices", "factor"),
    [(("cpu", "cpu"), 3.0), (("cuda", "cuda"), 5.0), (("cpu", "cuda"), None)],
)
def test_a_busy_processor_makes_no_defence_dear(devices, factor):
    """Beside others a stage waits, which a clock counts; a GPU computes while its process waits."""
    spent = zip(devices, ((10.0, 8.0), (50.0, 24.0)), strict=True)
    stats = [{"device": on, "seconds": wall, "cpu_seconds": cpu} for on, (wall, cpu) in spent]
    found = SimpleNamespace(
        targets={"none": ["none-0"], "mid": ["mid-0"]},
        inputs=SimpleNamespace(
            stats={"targets": dict(zip(("none-0", "mid-0"), stats, strict=True))}
        ),
    )
    assert twins.slowdown(found, "mid") == factor


@pytest.mark.parametrize(
    ("field", "factor"),
    [
        *((name, None) for name in ("instructions", "onednn", "torch", "threads", "gpu")),
        ("precision", 3.0),
    ],
)
def test_times_of_unlike_machines_are_not_compared(field, factor):
    """One side may have come back from a cache; a row chooses its precision."""
    stats = {"device": "cpu", "seconds": 9.0, "cpu_seconds": 10.0, field: "one"}
    other = stats | {"cpu_seconds": 30.0, field: "other"}
    for theirs, expected in ((other, factor), (other | {field: "one"}, 3.0)):
        found = SimpleNamespace(
            targets={"none": ["none-0"], "mid": ["mid-0"]},
            inputs=SimpleNamespace(stats={"targets": {"none-0": stats, "mid-0": theirs}}),
        )
        assert twins.slowdown(found, "mid") == expected


def test_an_accuracy_has_its_interval():
    """A price of one test image must not read as a price."""
    ends = Ends(0.928, 1.0, "identities")
    given = {"defense": "none", "attack": None, "attacks": 0, "seeds": 0, "aa1": None}
    one = Headline(**given, accuracy=0.994, accuracy_within=ends, slowdown=1.0)
    assert one.sentence().endswith("accuracy is 99.4 % (95 % interval 92.8 to 100.0 %).")
    assert "It costs 0.6 points of test accuracy (99.4 %, 95 % interval 92.8 to 100.0 %) and " in (
        replace(one, undefended=1.0).sentence()
    )


def test_who_met_a_part_of_the_people_is_not_counted_and_not_hidden(study):
    """It does not rank among attacks on all, and a higher number of it is said all the same."""
    root, params = study
    inputs, metrics = read(root, params)
    cell = ("brepmi", "none")
    found = Findings(inputs=inputs, metrics=copy.deepcopy(metrics), pictures={})
    marked = replace(found.marks, partial={cell: ["3 of 20"]})
    found.metrics["attacks"]["brepmi"]["none"]["aa1"] = 0.999
    before, after = (headline._of(found, marks, "none") for marks in (found.marks, marked))
    assert after.attacks == before.attacks - 1 and before.beyond is None
    assert after.beyond == ("brepmi", 0.999)
    assert " BREP-MI, on a part of the people alone, gets 99.9 %." in after.sentence()
    found.metrics["attacks"]["brepmi"]["none"]["aa1"] = 0.001
    assert headline._of(found, marked, "none").beyond is None


def test_an_attack_is_explained_once():
    given = {"attack": "gmi", "attacks": 1, "seeds": 1, "aa1": 0.1}
    first, second = headline.sentences([Headline(defense=d, **given) for d in ("none", "mid")])
    assert "(searches a generator of public images)" in first and "(" not in second


# --- the study's --------------------------------------------------------------------------------


def test_the_order_of_the_first_screen(pages):
    """Definition, a sentence per defence, then the two pictures; and nothing is drawn of codes."""
    top = first_screen(pages.markdown)
    order = (
        "# Does a trapdoor keep faces private?",
        "drawn by a program: no evidence about real faces",
        "**AA-1**: share of",
        "- **No defence**: the strongest of 4 attacks, PLG-MI ",
        f"- **{CONTROL}**: the strongest of 4 attacks, PLG-MI,",
        "- **Trap-MID**: the strongest of 4 attacks, PLG-MI on a student",
        "figures/trade_off.png",
        "figures/worst/faces.png",
    )
    places = [top.index(part) for part in order]
    assert places == sorted(places)
    assert (
        "**43.0 %** (from 42.0 to 44.0 %, mean of 2 seeds). At worst, all judges agree on " in top
    )
    assert "95 % intervals. Of two seeds they go from one to the other." in top
    assert top.count("\n- ") == 3 and "met different" not in top


def test_an_invalid_study_is_said_before_all_else(study):
    found = written(*study, failed=["floor_is_chance"])
    for text, mark in ((found.html, 'class="caution"'), (found.markdown, "[!CAUTION]")):
        top = first_screen(text)
        assert top.index(mark) < top.index("AA-1") and "4 of 5 validity checks" in words(top)


def test_a_doubtful_number_has_a_star_and_its_meaning(tmp_path):
    made = fake_study.write(tmp_path)
    edit_attack_run(tmp_path, "plgmi-none-0", checks={"target_agreement": False})
    top = first_screen(written(tmp_path, made).markdown)
    assert "**96.0 %**\\* (from 95.0 to 97.0 %, mean of 2 seeds)" in top
    # AA-1, what all judges agree on, the meaning, and the words for those who do not see the plot
    assert top.count("\\*") == 4
    assert "\\*: the search of this attack did not reach what it asked for, so its AA-1 is a" in top
    assert "says nothing about the defence" not in top


def test_an_attack_that_broke_on_a_defence_is_named_there_even_where_another_got_more(tmp_path):
    """It got little because it broke: the worst case is that of the others."""
    made = fake_study.write(tmp_path)
    edit_attack_run(tmp_path, "gmi-trapmid-0", checks={"target_agreement": False})
    top = first_screen(written(tmp_path, made).markdown)
    (line,) = [one for one in top.splitlines() if one.startswith("- **Trap-MID**")]
    assert "A check failed of GMI\\*: this may not be its worst case." in line
    assert "%**\\*" not in line
    assert "\\*: the search of this attack did not reach what it asked for" in top
    assert top.count("this may not be its worst case") == 1


def test_a_defence_without_an_undefended_twin_is_said_to_prove_little(tmp_path):
    """Attacks that fail on every target of a network may not work on that network at all."""
    made = fake_study.write(tmp_path)
    words = "No target of this network was attacked without a defence"
    assert words not in first_screen(written(tmp_path, made).markdown)
    for row in [row for row in made["targets"] if row.startswith("trapmid-")]:
        made["targets"][row]["arch"] = "small_ir"
    top = first_screen(written(tmp_path, made).markdown)
    said = [one for one in top.splitlines() if words in one]
    assert len(said) == 1 and said[0].startswith("- **Trap-MID (small_ir)**")


def test_a_check_of_the_judges_marks_what_they_agree_on_and_not_aa1(tmp_path):
    made = fake_study.write(tmp_path)
    for row in made["attack_runs"]:
        edit_attack_run(tmp_path, row, checks={"judges_agree_on_real": False})
    found, metrics = read(tmp_path, made)
    assert all(case["failed"] == [] for case in metrics["worst"].values())
    text = rendered(found, metrics, {}).markdown
    top = first_screen(text)
    assert "\\*" not in top and "**96.0 %** (from 95.0 to 97.0 %, mean of 2 seeds)" in top
    assert top.count(" %**‡ (") == 3
    assert "\n‡: a check of the judges failed (judges agree on real), so what all judges" in top
    section = text[text.index("## Who is it really?") : text.index("## Attributes")]
    assert "| PLG-MI on Trap-MID | 13.0 | 3.2 (3–4)‡ |" in section
    assert "A star" not in text and "Trap-MID 10.8 %‡ (PLG-MI on a student)" in section
    assert "It says nothing of AA-1." in section


def test_a_judge_that_failed_a_check_marks_what_it_was_asked_about(study):
    found, metrics = read(*study)
    checks = {"blank_images_refused": False}
    found.judges["verifier"] = replace(found.judges["verifier"], checks=checks)
    text = first_screen(rendered(found, metrics, {}).markdown)
    assert "‡: a check of the judges failed (blank images refused)" in text


def test_another_failed_check_is_named(tmp_path):
    made = fake_study.write(tmp_path)
    checks = {"target_agreement": False, "every_class_attacked": False}
    edit_attack_run(tmp_path, "plgmi-none-0", checks=checks)
    top = first_screen(written(tmp_path, made).markdown)
    assert (
        "a lower bound of what this attack can get; or a validity check of this attack failed "
        "(every class attacked), so its number cannot be relied on." in top
    )


def test_defences_that_met_different_attacks_are_warned_of(tmp_path):
    made = fake_study.write(tmp_path)
    for row in [r for r in made["attack_runs"] if r.startswith("plgmi_distil-none")]:
        del made["attack_runs"][row]
    for text in written(tmp_path, made):
        top = words(first_screen(text)).replace("*", "")
        assert "Defences met different attacks" in top
        assert "PLG-MI on a student ran on Trap-MID alone" in top
        assert "GMI ran on" not in top


def test_an_interval_of_the_metrics_is_in_the_sentence(study):
    root, made = study
    found, metrics = read(root, made)
    between = {"low": 0.9, "high": 0.985, "kind": "seeds", "n": 2}
    metrics["attacks"]["plgmi"]["none"]["intervals"]["aa1"] = between
    top = first_screen(rendered(found, metrics, {}).markdown)
    assert "**96.0 %** (95 % interval 90.0 to 98.5 %, mean of 2 seeds)" in top


def leaky(attack="gmi", share=0.35):
    """Scores of `attack` on which all judges agree, though its AA-1 is not the highest."""
    metrics = {"attacks": {}, "worst": {"trapmid": {"attack": "plgmi"}}}
    for name, agree in {"plgmi": 0.1, "brepmi": None, attack: share}.items():
        judges = None if agree is None else {"agree": agree}
        metrics["attacks"][name] = {"trapmid": {"judges": judges}}
    return metrics


def test_the_attack_whose_images_all_judges_grant_most_counts():
    assert most_agreed(leaky(), "trapmid") == "gmi"
    assert most_agreed(leaky(), "trapmid", partial=["gmi"]) == "plgmi"
    assert most_agreed(leaky(), "trapmid", partial=["gmi", "plgmi"]) == "gmi"
    assert most_agreed(leaky(share=0.1), "trapmid") == "plgmi"  # the stronger one of equals
    assert most_agreed(leaky(share=None), "trapmid") == "plgmi"
    metrics = leaky(share=None)
    metrics["attacks"]["plgmi"]["trapmid"]["judges"] = None
    assert most_agreed(metrics, "trapmid") is None


def test_the_first_screen_and_the_section_of_judges_say_one_number(tmp_path):
    """The weakest attack by AA-1 has the images that all judges grant."""
    made = fake_study.write(tmp_path, (0,))
    scores = read(tmp_path, made)[0].attack_runs["gmi-trapmid-0"]
    judged = asdict(replace(scores.judges, agree=0.35, n_agree=35))
    intervals = {name: asdict(one) for name, one in scores.intervals.items()}
    ends = {"judges.agree": {"low": 0.25, "high": 0.45, "kind": "identities", "n": 20}}
    edit_attack_run(tmp_path, "gmi-trapmid-0", judges=judged, intervals=intervals | ends)
    text = written(tmp_path, made).markdown
    (line,) = [one for one in first_screen(text).splitlines() if one.startswith("- **Trap-MID**")]
    assert "PLG-MI on a student" in line.split("All judges")[0]
    assert "agree on **35.0 %** (GMI, 95 % interval 25.0 to 45.0 %): verifier" in line
    assert "the images of PLG-MI on a student all judges agree on 10.5 %." in line
    assert "Trap-MID 35.0 % (GMI)" in text.split("### What it means")[1]


# --- the whole text -----------------------------------------------------------------------------


def test_what_judges_agree_on_has_its_own_scale(pages):
    """How many real photographs all judges grant; the fake scores say .94 of them."""
    page, _ = pages
    assert "Of a person's real test images they agree on 94.0 %." in words(page)


def test_no_text_has_what_is_meant_for_machines(pages):
    """Codes stand in the protocol alone, in a table that says what they mean."""
    text = words(pages.html)
    assert "`" not in text
    assert not re.search(r"\bnull\b|\bNone\b|\bnan\b", text)
    assert not re.search(r"\d\.\d{5,}", text)
    before = text[: text.index("Reconstructions : 5 per private identity")]
    for code in ("none_aug", "plgmi", "trapmid-", "brepmi", "n_trapdoor"):
        assert code not in before


def test_every_picture_is_told_to_those_who_do_not_see_it(pages):
    alts = re.findall(r"<img [^>]*>", pages.html)
    assert len(alts) > 10
    assert all(re.search(r'alt="[^"]{8,}"', image) for image in alts)
    plot = next(image for image in alts if "Scatter plot" in image)
    assert "Trap-MID: accuracy 92.5 %, AA-1 43.0 %" in plot


def test_contracts_and_parameters_are_folded(pages):
    assert "<details open" not in pages.html
    assert "<summary>Data contract: 2 of 2 expectations hold</summary>" in pages.html


def test_only_data_that_rows_use_are_shown(study):
    root, made = study
    found, metrics = read(root, made)
    unused = found.params["data"] | {"other": found.params["data"]["faces"]}
    found.params["data"], before = unused, found.params["data"]
    text = rendered(found, metrics, {}).markdown
    found.params["data"] = before
    assert "### Data: faces" in text and "### Data: other" not in text


def test_the_names_have_their_codes(pages):
    section = pages.markdown.split("### Names")[1].split("### Data")[0]
    assert f"| {CONTROL} | shows what the augmentation alone does | none_aug |" in section
    assert "| PLG-MI on a student |" in section and "| plgmi_distil |" in section


def test_a_study_of_digits_speaks_of_no_face(study):
    root, params = study
    digits = copy.deepcopy(params)
    for block in digits["data"].values():
        block["private"] = {"reader": "digits", "path": "data/raw/digits"}
    text = written(root, digits).markdown
    top = first_screen(text)
    assert top.startswith("# Does a trapdoor keep digits private?")
    assert "no faces: a person on this page is one of the digits" in top
    asked = text[text.index("## Question and threat model") :].split("\n## ")[0]
    assert "face" not in top.replace("no faces", "").replace("figures/worst/faces", "") + asked
