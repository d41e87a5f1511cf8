"""The report of a study that nobody computed: what it must say, and that it opens offline."""

from __future__ import annotations

import dataclasses
import html
import io
import json
import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from PIL import Image

import fake_study
from fake_report import (
    OVERVIEWS,
    edit_attack_run,
    faces,
    first_screen,
    read,
    rendered,
    unpainted,
    written,
)
from trapmid.artifacts import results
from trapmid.artifacts.results import History, ResultError
from trapmid.report import (
    canvas,
    charts,
    comparison,
    figures,
    findings,
    grids,
    inputs,
    learning_curves,
    page,
)
from trapmid.report.findings import Findings
from trapmid.report.marks import Marks
from trapmid.report.sections import attackers, recovered, verdict

PNG = b"\x89PNG\r\n"
NONE, CONTROL, TRAPMID = "No defence", "No defence, Trap-MID's augmentation (control)", "Trap-MID"


ROOT = Path(__file__).resolve().parents[2]
EMPTY = {"metrics": {"attacks": {}}, "pictures": {}}


def build(root, study, charts=figures.draw_all):
    """The pages of a study, and the pictures that were drawn for them."""
    found, metrics = read(root, study)
    drawn = charts(found, metrics) | grids.samples(study, root)
    return rendered(found, metrics, drawn | faces(study)), drawn


def curves_alone(found, metrics):
    """The charts of trainings, for tests that look at no other."""
    return figures._trainings(found) | OVERVIEWS


def only(found):
    """What was read, with nothing drawn or summed up."""
    return findings.Findings(inputs=found, metrics={}, pictures={})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def study(root):
    return fake_study.write(root)


@pytest.fixture(scope="module")
def built(root, study):
    """The pages, and every chart as a dot."""
    with unpainted():
        return build(root, study)


@pytest.fixture(scope="module")
def pages(built):
    return built[0]


@pytest.mark.slow
def test_the_same_study_gives_the_same_bytes_whatever_rows_are_gone(tmp_path, root, study):
    before = build(root, study)
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    reports = tmp_path / "reports"
    sections = ("evaluators", "targets", "attack_runs")
    gone = [*(f"scores/{section}/gone-0.json" for section in sections)]
    gone += ["data/gone.json", "figures/data/gone.png", "figures/attack_runs/gone-0.png"]
    gone += [f"training/{section}/gone-0/stats.json" for section in sections]
    gone += ["training/targets/gone-0/history.csv", "training/targets/gone-0/samples.pt"]
    for name in gone:  # whoever opened one would stop
        (reports / name).parent.mkdir(parents=True, exist_ok=True)
        (reports / name).write_text("no result", encoding="utf-8")
    pages, charts = build(tmp_path, study)
    assert charts == before[1]
    assert pages == before[0]
    assert all(png.startswith(PNG) for png in charts.values())


class Links(HTMLParser):
    """Every address of the page, and whether its tags are balanced."""

    VOID = frozenset({"meta", "img", "br", "hr", "link", "input"})

    def __init__(self, html):
        super().__init__()
        self.addresses, self.ids, self.open = [], set(), []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("src", "href"):
                self.addresses.append(value)
            if name == "id":
                self.ids.add(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in self.VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_without_a_validation_split_its_accuracy_is_a_dash(tmp_path):
    study = fake_study.write(tmp_path)
    for section in ("targets", "evaluators"):
        for path in (tmp_path / "reports" / "scores" / section).glob("*.json"):
            scores = json.loads(path.read_text()) | {"val_accuracy": None}
            path.write_text(json.dumps(scores))
    rows = table(written(tmp_path, study), "## Targets")
    assert rows and all(row[3] == "–" for row in rows)


def test_html_is_self_contained_and_balanced(pages):
    links = Links(pages.html)
    assert links.open == []
    for address in links.addresses:
        assert address.startswith("data:image/webp;base64,") or address[1:] in links.ids
    assert "http:" not in pages.html
    assert "https:" not in pages.html
    assert pages.html.count("<script>") == pages.html.count("<script") == 1  # it sorts tables
    assert not re.search(r"fetch\(|import\(|XMLHttpRequest|@import|url\(", pages.html)


SECTIONS = (
    "Question and threat model",
    "Every attack on every defence",
    "What the attacks recover",
    "Who is it really?",
    "Attributes that leak",
    "Did the attack recover the trigger instead of the person?",
    "Trapdoors",
    "Robustness to adversarial examples",
    "Checks",
    "Protocol",
    "Costs",
    "Limits",
)


def test_the_sections_are_there_in_their_order(pages):
    assert re.findall(r"<h2 id=[^>]*>(.*?)</h2>", pages.html) == list(SECTIONS)
    assert re.findall(r"^## (.*)$", pages.markdown, re.MULTILINE) == list(SECTIONS)
    nav = pages.html[pages.html.index("<nav") : pages.html.index("</nav>")]
    assert re.findall(r">([^<]*)</a>", nav) == list(SECTIONS)


def test_the_attack_table_shows_every_seed_and_the_references(pages):
    lines = pages.markdown.splitlines()
    start = next(i for i, line in enumerate(lines) if "**PLG-MI** | **Trap-MID**" in line)
    assert "**mean of 2**" in lines[start]
    assert "**13.00 ± 1.00 (s 1.41)**" in lines[start]  # 12 % and 14 %
    assert [line.split("|")[3].strip() for line in lines[start + 1 : start + 3]] == ["0", "1"]
    assert any(line.startswith("| *floor*") and "| *6.00* |" in line for line in lines)
    assert any(line.startswith("| *ceiling*") and "| *97.00* |" in line for line in lines)


def table(pages, title):
    """The cells of the first table below a heading of the Markdown page, as a reader sees them."""
    text = pages.markdown[pages.markdown.index(title) :]
    rows = text.split("\n\n|", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[shown(attack_run.strip()) for attack_run in row.split("|")[1:-1]] for row in rows]


def shown(attack_run):
    """Without the stars of emphasis, which have no backslash."""
    return re.sub(r"(?<!\\)\*", "", attack_run).replace("\\*", "*")


def test_the_target_table_has_both_deviations_and_every_seed(pages):
    rows = table(pages, "## Targets")
    start = [row[0] for row in rows].index(NONE)
    assert rows[start][1:3] == ["mean of 2", "95.50 ± 0.50 (s 0.71)"]
    assert [row[1:3] for row in rows[start + 1 : start + 3]] == [["0", "95.00"], ["1", "96.00"]]


# --- many defences ------------------------------------------------------------------------------

MATRIX = "## Every attack on every defence"
SOME = {name: fake_study.WIDE[name] for name in ("none", "mid", "ted", "transfer", "dpsgd")}


@pytest.fixture(scope="module")
def some(tmp_path_factory):
    """(study, pages, charts) of five defences, one of them on another architecture, too."""
    root = tmp_path_factory.mktemp("some")
    study = fake_study.write(root, defenses=SOME)
    for seed in (0, 1):
        study["targets"][f"ted-{seed}"]["arch"] = "other"
        for attack in fake_study.AA1:
            del study["attack_runs"][f"{attack}-mid-{seed}"]
            if attack != "gmi":
                del study["attack_runs"][f"{attack}-transfer-{seed}"]
        stats = {"seconds": 20.0 + 10 * seed, "peak_memory_mb": 1.0, "device": "cpu"}
        stats |= {"cpu_seconds": 25.0 + 10 * seed, "torch": "2.14.1"}
        stats |= {"instructions": "AVX2", "onednn": "AVX2"}  # as its twin's
        fake_study.write_json(root / f"reports/training/targets/dpsgd-{seed}/stats.json", stats)
        elsewhere = stats | {"device": "cuda"}
        fake_study.write_json(root / f"reports/training/targets/mid-{seed}/stats.json", elsewhere)
    with unpainted():
        pages, charts = build(root, study, curves_alone)
    return study, pages, charts


@pytest.mark.slow
def test_what_each_defence_costs_and_buys(some):
    rows = {row[0]: row[1:] for row in table(some[1], "## What each defence costs")}
    assert list(rows) == [NONE, "MID", "TeD (other)", "TL-DMI", "DP-SGD"]
    assert rows[NONE] == [
        "–",
        "95.50 ± 0.50 (s 0.71)",
        "–",
        "PLG-MI",
        "96.00 ± 1.00 (s 1.41)",
        "95.00, 97.00",
        "12.5 ± 0.0 (s 0.0)",
        "1.00",
    ]
    notes, *_, seconds, slowdown = rows["DP-SGD"]
    assert notes == "epsilon 8; delta 1e-05"
    assert (seconds, slowdown) == ("25.0 ± 5.0 (s 7.1)", "3.00")  # 30 s of the processor by 10
    assert rows["TL-DMI"][0] == "starts from strangers, trained in 12.5 s not counted here"
    assert rows["TL-DMI"][3] == "GMI"  # nothing else ran on it
    assert rows["MID"][3:6] == ["–", "–", "–"]  # nothing did
    assert rows["MID"][7] == "–"  # another device
    assert rows["TeD (other)"][2] == "100.00 ± 0.00 (s 0.00)"
    assert rows["TeD (other)"][7] == "–"  # no target without a defence of that architecture


def heads(pages, title):
    """Of the first table below a heading of the Markdown page."""
    text = pages.markdown[pages.markdown.index(title) :]
    return [cell.strip() for cell in text.split("\n\n|", 1)[1].split("\n", 1)[0].split("|")[:-1]]


@pytest.mark.parametrize("defenses", [{"none": "none"}, {"none": "none", "dpsgd": "dpsgd"}])
def test_a_column_of_costs_that_says_nothing_does_not_stand_there(tmp_path, defenses):
    """The defence without notes has none; the mean of one seed is that seed."""
    study = fake_study.write(tmp_path, seeds=(0,), defenses=defenses)
    found = heads(written(tmp_path, study), "### What each defence costs")
    notes = ["Notes"] if "dpsgd" in defenses else []
    assert found == [
        *("Defence", *notes, "Acc (%) ↑", "Trapdoor success (%) ↑", "Attack", "AA-1 (%) ↓"),
        *("Training (s) ↓", "Times no defence ↓"),
    ]


def test_the_worst_cases_have_a_table(pages, some):
    rows = {row[0]: row[1:] for row in table(pages, "### Worst case")}
    student = "PLG-MI on a student"
    assert rows[TRAPMID] == ["43.0 ± 1.0", "63.0", "43 / 100", student, "2", "4"]
    assert rows[NONE] == ["96.0 ± 1.0", "100.0", "96 / 100", "PLG-MI", "2", "4"]
    other = {row[0]: row[1:] for row in table(some[1], "### Worst case")}
    assert other["MID"] == ["–", "–", "–", "–", "–", "0"]  # nothing ran
    assert other["TL-DMI"][3:] == ["GMI", "2", "1"]


def test_fewer_attacks_are_no_better_defence(pages):
    for text in (pages.html, pages.markdown):
        assert "Fewer attacks can only lower this number" in text


def test_a_failed_check_marks_its_number(tmp_path, pages):
    """In both tables, and it is said what the star means; what leaked stays the worst case."""
    study = fake_study.write(tmp_path)
    edit_attack_run(tmp_path, "plgmi-none-0", checks={"target_agreement": False})
    edit_attack_run(tmp_path, "gmi-trapmid-1", checks={"target_agreement": False})
    marked = written(tmp_path, study)
    worst = {row[0]: row[1:] for row in table(marked, "### Worst case")}
    assert worst[NONE] == ["96.0 ± 1.0", "100.0", "96 / 100", "PLG-MI*", "2", "4 (1 failed)"]
    assert worst[CONTROL][3:] == ["PLG-MI", "2", "4"]
    assert worst[TRAPMID][3:] == ["PLG-MI on a student", "2", "4 (1 failed)"]
    rows = {row[0]: row[1:] for row in table(marked, MATRIX)}
    assert rows[NONE][1] == "[96.0 ± 1.0*]" and rows[TRAPMID][0] == "5.0 ± 1.0*"
    assert "".join(map("".join, rows.values())).count("*") == 2
    for text, before in ((marked.html, pages.html), (marked.markdown, pages.markdown)):
        assert text.count("A star: the search of this attack did not reach what it asked for") > 2
        assert "A star" not in before
    assert ">[96.0 ± 1.0*]</td>" in marked.html


@pytest.mark.slow
def test_a_failed_check_marks_every_picture_of_its_number(tmp_path):
    """The bars and the matrix; of a worst case what is drawn of worst cases, and its looks."""
    study = fake_study.write(tmp_path, seeds=(0,), defenses={"none": "none"})
    before = build(tmp_path, study)[1]
    edit_attack_run(tmp_path, "gmi-none-0", checks={"target_agreement": False})
    weaker = build(tmp_path, study)[1]
    every = {"figures/attacks.png", "figures/matrix.png"}
    assert {path for path in weaker if weaker[path] != before[path]} == every
    edit_attack_run(tmp_path, "plgmi-none-0", checks={"target_agreement": False})
    after = build(tmp_path, study)[1]
    every |= {"figures/trade_off.png", "figures/robustness.png", "figures/attributes/none.png"}
    assert {path for path in after if after[path] != weaker[path]} == every


def test_a_picture_of_a_number_in_doubt_says_what_a_star_is(tmp_path, pages):
    """Where the picture has one: that of worst cases has none of a weaker attack."""
    study = fake_study.write(tmp_path)
    star = "A star: the search of this attack did not reach what it asked for"
    edit_attack_run(tmp_path, "gmi-trapmid-1", checks={"target_agreement": False})
    weaker = captions(written(tmp_path, study))
    assert star in weaker["figures/attacks.png"] and star in weaker["figures/matrix.png"]
    assert "A star" not in weaker["figures/trade_off.png"] + weaker["figures/robustness.png"]
    edit_attack_run(tmp_path, "plgmi-none-0", checks={"target_agreement": False})
    marked = captions(written(tmp_path, study))
    assert star in marked["figures/trade_off.png"] and star in marked["figures/robustness.png"]
    assert r"AA-1 96.0 %\*; " in marked["figures/trade_off.png"]  # for those who do not see it
    assert not any("A star" in words for words in captions(pages).values())


def captions(pages):
    """What stands around each picture, by its path."""
    parts = re.split(r"\((figures/[\w/]+\.png)\)", pages.markdown)
    words = (part.rpartition("\n\n")[2] for part in parts[0::2])
    return dict(zip(parts[1::2], words, strict=False))


def test_a_failed_check_marks_its_number_in_every_table(tmp_path, pages):
    """The mean of two seeds and the seed that failed; the cost of a defence, its looks, more."""
    study = fake_study.write(tmp_path)
    edit_attack_run(tmp_path, "plgmi-none-0", checks={"target_agreement": False})
    edit_attack_run(tmp_path, "gmi-trapmid-1", checks={"target_agreement": False})
    marked = written(tmp_path, study)
    rows = [(row[0], row[1], row[2], row[4], row[5]) for row in table(marked, "All scores:")]
    first = rows.index(next(row for row in rows if row[:2] == ("PLG-MI", NONE)))
    ends = [row[2:] for row in rows[first : first + 3]]
    assert ends == [
        ("mean of 2", "96.00 ± 1.00 (s 1.41)*", "100.00 ± 0.00 (s 0.00)*"),
        ("0", "95.00 ± 1.10*", "100.00 ± 2.00*"),
        ("1", "97.00 ± 1.10", "100.00 ± 2.00"),
    ]
    assert sum("*" in row[3] for row in rows) == 4
    costs = {row[0]: row[4] for row in table(marked, "## What each defence costs")}
    assert costs[NONE].endswith("*") and not costs[TRAPMID].endswith("*")
    likeness = [row[0] for row in table(marked, "Likeness to private images")]
    assert f"PLG-MI* on {NONE}" in likeness and f"GMI* on {TRAPMID}" in likeness
    robust = {row[0]: row[1] for row in table(marked, "## Robustness")}
    assert robust[NONE] == "96.0*" and robust[TRAPMID] == "43.0"
    told = captions(marked)
    assert f"AA-1: {NONE} 95.0 %\\*; " in told["figures/comparison/plgmi.png"]
    assert f"{TRAPMID} 4.0 %\\*." in told["figures/comparison/gmi.png"]
    assert "A star:" in told["figures/comparison/gmi.png"]
    assert "A star:" not in told["figures/comparison/brepmi.png"]
    assert rf"at worst, on: {NONE} 23.8 %\* (PLG-MI); " in marked.markdown
    looks = marked.markdown.split("## Attributes that leak")[1].split("\n## ")[0]
    assert r"PLG-MI 65.8 %\* (" in looks and r"| PLG-MI\* on No defence |" in looks
    assert r"of the highest AA-1, 45 %\*." in looks  # a ratio to the number in doubt
    assert looks.count("A star:") == 1 and "A star:" not in pages.markdown.split("Attributes")[1]
    for heading in ("All scores:", "## What each defence costs", "## Robustness"):
        words = marked.markdown.split(heading)[1].split("\n| ")[0]
        assert "A star:" in words and "A star:" not in pages.markdown.split(heading)[1][:900]


def attack_a_part(root, row):
    """Makes the row an attack on 5 of 20 people that recovered all five."""
    protocol = protocol_of(root, row) | {"identities": 5, "images_per_identity": 1}
    recovered = {"aa1": 1.0, "aa5": 1.0, "n": 5, "n_success": 5}
    edit_attack_run(root, row, left_out=15, protocol=protocol, **recovered)


def judge(root, row, evaluator):
    edit_attack_run(root, row, protocol=protocol_of(root, row) | {"evaluator": evaluator})


def protocol_of(root, row):
    path = root / f"reports/scores/attack_runs/{row}.json"
    return json.loads(path.read_text(encoding="utf-8"))["protocol"]


def test_a_part_of_the_people_has_a_dagger(tmp_path, pages):
    """Beside the numbers of all people, and it is said what it means; never else."""
    study = fake_study.write(tmp_path)
    for seed in (0, 1):
        attack_a_part(tmp_path, f"brepmi-trapmid-{seed}")
    marked = written(tmp_path, study)
    rows = {row[0]: row[1:] for row in table(marked, MATRIX)}
    assert rows[TRAPMID] == ["5.0 ± 1.0", "13.0 ± 1.0", "[43.0 ± 1.0]", "100.0 ± 0.0†"]
    assert "†" not in "".join(rows[NONE] + rows[CONTROL])
    assert table(marked, "### Worst case") == table(pages, "### Worst case")
    scores = {(row[0], row[1]): row[4] for row in table(marked, "All scores:")}
    assert scores["BREP-MI", TRAPMID].endswith("†") and "†" not in scores["BREP-MI", NONE]
    words = "†: BREP-MI attacked 5 of 20 people."
    for text, before in ((marked.html, pages.html), (marked.markdown, pages.markdown)):
        assert text.count(words) == 3  # worst case, matrix, all scores
        assert text.count("†: over a part of the people.") >= 2
        assert "†" not in before
    costs = marked.markdown.split("## What each defence costs")[1].split("\n## ")[0]
    assert "†" not in costs  # its attacks were on all people


def test_a_worst_case_of_a_part_of_the_people_has_a_dagger(tmp_path):
    """No other attack ran."""
    study = fake_study.write(tmp_path, seeds=(0,), defenses={"none": "none"})
    for row in [
        r for r, b in study["attack_runs"].items() if b["attack"] not in ("brepmi", "random")
    ]:
        del study["attack_runs"][row]
    attack_a_part(tmp_path, "brepmi-none-0")
    marked = written(tmp_path, study)
    worst = [NONE, "100.0 (75–85)†", "100.0†", "5 / 5", "BREP-MI", "1", "1"]
    assert table(marked, "### Worst case") == [worst]
    assert table(marked, MATRIX) == [[NONE, "[100.0 (75–85)†]"]]
    assert table(marked, "## What each defence costs")[0][3:5] == ["BREP-MI", "100.00†"]
    assert marked.markdown.count("†: BREP-MI attacked 5 of 20 people.") == 4


def test_several_evaluators_are_named(tmp_path, pages):
    """In the matrix, the worst cases and all scores; one alone never is."""
    study = fake_study.write(tmp_path)
    for row, block in study["attack_runs"].items():
        if block["attack"] == "plgmi":
            judge(tmp_path, row, "wide")
    marked = written(tmp_path, study)
    head = (
        "| Defence | GMI (evaluator) | PLG-MI (wide) | PLG-MI on a student (evaluator) | BREP-MI (e"
    )
    assert head in marked.markdown
    worst = {row[0]: row[1:] for row in table(marked, "### Worst case")}
    assert worst[NONE][3:] == ["PLG-MI (wide)", "2", "4 (judged by evaluator, wide)"]
    assert worst[TRAPMID][3] == "PLG-MI on a student (evaluator)"
    scores = [row[:3] for row in table(marked, "All scores:") if row[0]]
    assert ["PLG-MI", "No defence (wide)", "mean of 2"] in scores
    assert ["GMI", "No defence (evaluator)", "mean of 2"] in scores
    assert scores[-1][:2] == [
        "ceiling",
        "real private test images, everybody counted once (evaluator)",
    ]
    for text, before in ((marked.html, pages.html), (marked.markdown, pages.markdown)):
        assert text.count("More than one evaluator judged these attacks") == 4
        assert text.count("More than one evaluator judged; the matrix") >= 2
        assert "More than one evaluator" not in before and "(evaluator)" not in before


def test_a_worst_case_that_one_evaluator_judged_names_no_other(tmp_path):
    study = fake_study.write(tmp_path)
    for row, block in study["attack_runs"].items():
        if block["target"].startswith("trapmid"):
            judge(tmp_path, row, "wide")
    marked = written(tmp_path, study)
    worst = {row[0]: row[1:] for row in table(marked, "### Worst case")}
    assert worst[TRAPMID][3:] == ["PLG-MI on a student (wide)", "2", "4"]
    lines = [row[0] for row in table(marked, MATRIX)]
    assert lines == [f"{NONE} (evaluator)", f"{CONTROL} (evaluator)", f"{TRAPMID} (wide)"]


@pytest.mark.slow
def test_marks_are_in_the_pictures(tmp_path):
    """A dagger in the charts of all attacks, and of the worst cases if it is one; evaluators in
    the matrix alone."""
    study = fake_study.write(tmp_path, seeds=(0,), defenses={"none": "none"})
    before = overviews(tmp_path, study)
    edit_attack_run(tmp_path, "brepmi-none-0", left_out=20)
    dagger = overviews(tmp_path, study)
    changed = {path for path in before if dagger[path] != before[path]}
    assert changed == {"figures/attacks.png", "figures/matrix.png"}
    judge(tmp_path, "gmi-none-0", "wide")
    judged = overviews(tmp_path, study)
    assert {path for path in dagger if judged[path] != dagger[path]} == {"figures/matrix.png"}


def overviews(root, study):
    """The charts of all attacks, painted."""
    with pytest.MonkeyPatch.context() as patch:
        for others in ("_trainings", "_signatures", "_attributes"):
            patch.setattr(figures, others, lambda *found: {})
        drawn = figures.draw_all(*read(root, study))
    assert drawn.keys() == OVERVIEWS.keys()
    return drawn


def test_one_seed_has_no_deviation(tmp_path, pages):
    study = fake_study.write(tmp_path, seeds=(0,), defenses={"none": "none"})
    one = written(tmp_path, study)
    assert table(one, "### Worst case")[0][1:4] == ["95.0 (90–100)", "100.0", "95 / 100"]
    assert table(one, MATRIX)[0][2] == "[95.0 (90–100)]"
    for text in (pages.html, pages.markdown):
        assert "± population deviation over seeds; of one seed, behind it the 95 %" in text


def test_the_protocol_counts_images_per_attack(pages):
    listed = (
        "5 per private identity (GMI, PLG-MI, PLG-MI on a student, Random latents), 1 (BREP-MI); "
    )
    for text in (pages.html, pages.markdown):
        assert f"{listed}what each search ended with, none picked by result" in text


def test_the_protocol_says_who_keeps_the_surest_images(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,), defenses={"none": "none"})
    edit_attack_run(
        tmp_path, "gmi-none-0", counts={"confidence": {"mean": 0.9, "max": 1.0, "sum": 90.0}}
    )
    edit_attack_run(
        tmp_path, "plgmi-none-0", counts={"confidence": {"mean": 0.31, "max": 0.47, "sum": 31.0}}
    )
    text = written(tmp_path, study).markdown
    assert "confidence 0.310 (at most 0.470)" in text and "confidence 0.9 (at most 1)" in text
    assert "none picked by result; GMI, PLG-MI: those of which the asked model is surest" in text
    edit_attack_run(tmp_path, "gmi-none-0", counts={"layer": {"mean": 1.0, "max": 2.0, "sum": 9.0}})
    text = written(tmp_path, study).markdown
    assert "the asked model is surest; GMI: of each search the layer of the lowest loss, " in text


def test_the_protocol_says_which_epoch_is_kept(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,), defenses={"none": "none"})
    assert "**Epoch kept of a target**: the best on validation images\n" in (
        written(tmp_path, study).markdown
    )
    study["classifier_training"]["target"]["select"] = "last"
    assert "**Epoch kept of a target**: the last one\n" in written(tmp_path, study).markdown


def test_the_question_is_that_of_the_study(tmp_path, pages):
    """No control is asked about where there is none."""
    asked = "attack recovers without a defence, with Trap-MID's augmentation but no trapdoor "
    assert f"{asked}(the control), and with Trap-MID, and what" in pages.markdown
    for defenses, words in (
        ({"none": "none"}, "without a defence, and what each"),
        ({"none": "none", "mid": "mid"}, "without a defence, and with MID, and what each"),
        ({"none": "none", "mid": "mid", "ted": "ted"}, "and with the other defences of this study"),
    ):
        text = written(tmp_path, fake_study.write(tmp_path, seeds=(0,), defenses=defenses)).markdown
        assert words in text.replace("\n", " ") and "(the control)" not in text


def test_an_attack_without_any_image_has_no_distance(tmp_path):
    """One seed: a mean of the other; both: a dash."""
    study = fake_study.write(tmp_path, defenses={"none": "none"})
    edit_attack_run(tmp_path, "gmi-none-0", knn_dist=None)
    for seed in (0, 1):
        nothing = {"aa1": 0.0, "aa5": 0.0, "n_success": 0, "knn_dist": None, "frechet": None}
        edit_attack_run(tmp_path, f"brepmi-none-{seed}", **nothing)
    made = written(tmp_path, study)
    rows = table(made, "All scores:")
    starts = {row[0]: i for i, row in enumerate(rows) if row[0]}
    assert rows[starts["GMI"]][6].endswith("(1 of 2)") and rows[starts["GMI"] + 1][6] == "–"
    assert [row[6] for row in rows[starts["BREP-MI"] :][:3]] == ["–"] * 3


def test_an_attack_has_one_picture_for_all_defences(pages):
    """It says what each of them let through; the runs by themselves stay files."""
    section = pages.markdown.split("## What the attacks recover")[1].split("\n## ")[0]
    assert re.findall(r"\]\((.*?)\)", section) == [
        f"figures/comparison/{attack}.png" for attack in [*fake_study.AA1, "random"]
    ]
    first = f"seed 0. AA-1: {NONE} 31.0 %; {CONTROL} 28.0 %; {TRAPMID} 4.0 %."
    assert section.count(first) == 2  # caption and alternative text
    assert "reports/figures/attack_runs" in section


def test_the_signatures_of_the_worst_cases_stand_open(pages):
    text = pages.html[pages.html.index('id="did-the-attack') :]
    opened, folded = text[: text.index("</details>")].split("<details>")
    assert re.findall(r'alt="([^":]+):', opened) == ["PLG-MI on a student on Trap-MID, seed 0"]
    assert "<summary>Other attacks and seeds: 7 pictures</summary>" in folded
    assert folded.count("<img") == 7


def test_a_chart_of_the_whole_study_has_a_line_of_its_own(pages):
    scores = pages.html[: pages.html.index('id="what-the-attacks-recover"')]
    charts = re.findall(
        r'<p><em>([^<]*)</em><br />\n<img src="data[^"]*" alt="([^"]*)" /></p>', scores
    )
    assert [words.split(":")[0] for words, _ in charts] == [
        "How to read it",
        "The table as a picture",
    ]
    assert all(caption == words for caption, words in charts)
    style = pages.html[: pages.html.index("</style>")]
    assert "img { display: block; max-width: 100%;" in style


def test_the_first_column_of_a_wide_table_stays(pages):
    rule, *_ = re.findall(r"^\.scroll tr > :first-child \{(.*)\}", pages.html, re.MULTILINE)
    for part in ("position: sticky", "left: 0", "background: var(--page)"):
        assert part in rule
    assert re.findall(r"<table>", pages.html) == re.findall(
        r'(?<=<div class="scroll">)<table>', pages.html
    )


def test_the_matrix_has_every_attack_on_every_defence(pages, some):
    rows = table(pages, MATRIX)
    assert [row[0] for row in rows] == [NONE, CONTROL, TRAPMID]
    assert rows[2][1:] == ["5.0 ± 1.0", "13.0 ± 1.0", "[43.0 ± 1.0]", "21.0 ± 1.0"]
    assert table(some[1], MATRIX)[3] == ["TL-DMI", "[51.0 ± 1.0]", "–", "–", "–"]


def test_what_an_attack_costs(pages):
    """12.5 seconds for everything in the made-up study; a student serves search and prior once."""
    rows = {row[0]: row[1:] for row in table(pages, "### What an attack costs")}
    assert rows["GMI"] == ["12.5", "0.0", "0.0", "12.5"]
    assert rows["PLG-MI"] == ["12.5", "12.5", "0.0", "25.0"]
    assert rows["PLG-MI on a student"] == ["12.5", "12.5", "12.5", "37.5"]


def test_each_part_of_what_an_attack_costs_is_in_its_column(root, study):
    """Search 3 and 5 seconds by seed, prior 7, students 11; a mean over the rows."""
    found = inputs.read(study, root, {})
    seconds = {"guided_priors": 7.0, "surrogates": 11.0}
    stats = {
        section: {
            row: one | {"seconds": seconds.get(section, 5.0 if row.endswith("-1") else 3.0)}
            for row, one in rows.items()
        }
        for section, rows in found.stats.items()
    }
    costs = attackers.costs(dataclasses.replace(found, stats=stats)).frame.set_index("Attack")
    assert list(costs.columns) == ["Search (s)", "Its prior (s)", "Surrogates (s)", "All (s)"]
    assert list(costs.loc["PLG-MI"]) == ["4.0", "7.0", "0.0", "11.0"]
    assert list(costs.loc["PLG-MI on a student"]) == ["4.0", "7.0", "11.0", "22.0"]
    assert list(costs.loc["GMI"]) == ["4.0", "0.0", "0.0", "4.0"]


def test_students_that_vote_are_paid_for(root, study):
    """LOMMA asks the target, and its students are what it knows; one row of them counts once."""
    attack_runs = {row: dict(block) for row, block in study["attack_runs"].items()}
    for seed in (0, 1):
        for defense in fake_study.DEFENSES:
            student = f"models/surrogates/students-{defense}-{seed}"
            attack_runs[f"gmi-{defense}-{seed}"]["side_information"] = f"{student}/model.pt"
            attack_runs[f"plgmi_distil-{defense}-{seed}"]["side_information"] = (
                f"{student}/model.pt"
            )
    found = inputs.read(study | {"attack_runs": attack_runs}, root, {})
    costs = attackers.costs(found).frame.set_index("Attack")
    assert list(costs.loc["GMI"]) == ["12.5", "0.0", "12.5", "25.0"]
    assert list(costs.loc["PLG-MI on a student"]) == ["12.5", "12.5", "12.5", "37.5"]


def test_the_batch_size_is_stated(pages):
    assert "100, chosen by the memory; no result depends on it\n" in pages.markdown


def test_where_a_target_draws_noise_the_batch_size_matters(some):
    words = "no result depends on it but those on MID, which draws noise for a whole batch"
    assert words in some[1].markdown


def test_the_instruction_sets_are_stated(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,))
    folder = tmp_path / "reports/training"
    stats = json.loads((folder / "targets/none-0/stats.json").read_text(encoding="utf-8"))
    other = stats | {"instructions": "AVX512"}
    del other["onednn"]  # of a version that did not record it
    fake_study.write_json(folder / "targets/none-0/stats.json", other)
    text = written(tmp_path, study).markdown
    line = "**Instruction sets**: torch AVX2, oneDNN AVX2; torch AVX512, oneDNN not recorded;"
    assert f"{line} scores: cpu AVX2, oneDNN AVX2, torch 2.14.1; another processor" in text


@pytest.mark.parametrize(
    ("threads", "warned"),
    [(("1", "1"), False), (("1", "2"), True), ((None, "1"), False)],
)
def test_rows_that_were_not_computed_alike_are_warned_of(tmp_path, threads, warned):
    """Restored rows beside new ones; a file of an older version says no threads."""
    study = fake_study.write(tmp_path, seeds=(0,))
    for row, number in zip(("none-0", "trapmid-0"), threads, strict=True):
        file = tmp_path / f"reports/training/targets/{row}/stats.json"
        stats = json.loads(file.read_text(encoding="utf-8"))
        fake_study.write_json(file, stats | ({} if number is None else {"threads": number}))
    text = written(tmp_path, study).markdown
    assert ("**Warning**" in text) is warned
    line = "- **Warning**: rows were not all computed alike (threads: 1, 2), so a difference "
    assert (line in text) is warned


def test_what_stood_in_and_what_was_counted(pages):
    rows = {row[1]: row for row in table(pages, "### What stood in")}
    assert list(rows) == [NONE, CONTROL, TRAPMID]  # one line for all seeds
    words = ["PLG-MI on a student", TRAPMID, "students-trapmid"]
    assert rows[TRAPMID] == [*words, "90.0", "25.0", "80.0", "98.0", "99.0"]
    assert rows[NONE][4] == "–"  # no trapdoor
    counted = table(pages, "### What was counted")
    numbers = "queries 330.0 (at most 991); initial batches 2.5 (at most 17)"
    assert counted[0] == ["BREP-MI", NONE, "90.0", "0", "40,000", numbers]
    assert len(counted) == 3


def test_students_that_are_asked_beside_the_target_have_a_line(tmp_path):
    """The target still stands in for nobody: what they name as it does is all there is of them."""
    study = fake_study.write(tmp_path, seeds=(0,))
    edit_attack_run(tmp_path, "gmi-none-0", stand_in_agreement=0.7)
    found = inputs.read(study, tmp_path, {})
    asked = found.params["attack_runs"]["plgmi_distil-none-0"]["queried_model"]
    found.params["attack_runs"]["gmi-none-0"]["side_information"] = f"{asked}/model.pt"
    lines = attackers.stand_ins(only(found)).frame.to_numpy().tolist()
    assert lines[0] == ["GMI", NONE, "students-none", "–", "–", "70.0", "98.0", "99.0"]


def test_what_was_left_out_by_design_is_counted(tmp_path):
    """A mean over seeds; it is no miss."""
    study = fake_study.write(tmp_path, defenses={"none": "none"})
    edit_attack_run(tmp_path, "brepmi-none-0", left_out=5)
    found = inputs.read(study, tmp_path, {})
    counts = attackers.counts(only(found)).frame
    assert list(counts.iloc[0])[:4] == ["BREP-MI", NONE, "90.0", "2.5"]


def test_a_study_without_surrogates_has_no_such_tables(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,))
    for attack_run in [
        c for c, b in study["attack_runs"].items() if b["attack"] in ("plgmi_distil", "brepmi")
    ]:
        del study["attack_runs"][attack_run]
    text = written(tmp_path, study).markdown
    assert "### What stood in" not in text and "### What was counted" not in text


def test_a_stochastic_target_is_named(some, pages):
    for text in (some[1].html, some[1].markdown):
        assert "By design mid-0, mid-1 draw noise at every forward pass" in text
    assert "draw noise at every forward pass" not in pages.markdown


def test_the_theory_has_a_table_and_an_explanation(some, pages):
    rows = table(pages, "### Effectiveness and naturalness")
    assert [row[:2] for row in rows] == [[TRAPMID, "mean of 2"], ["", "0"], ["", "1"]]
    assert rows[0][2] == "-0.30 ± 0.05 (s 0.07)"
    assert rows[1][2:] == [
        "-0.25",
        "0.50",
        "0.12",
        "2.50",
        "-0.38",
        "-1.50",
        "-1.00",
        "-1.88",
        "yes",
    ]
    assert rows[0][-1] == "2 of 2"
    for text in (pages.html, pages.markdown):
        assert "nearly true by construction" in text
    assert [row[0] for row in table(some[1], "### Effectiveness")] == ["TeD (other)", "", ""]


def test_a_training_has_one_picture_for_all_its_seeds(some):
    _, pages, charts = some
    curves = {path for path in charts if path.startswith("figures/training/targets/")}
    assert curves == {f"figures/training/targets/{name}.png" for name in SOME}
    assert "figures/training/pretrained/strangers.png" in charts
    for text in (pages.html, pages.markdown):
        assert "strangers" in text[text.index("Training curves") :]
    assert sum(f"targets/{name}.png" in pages.markdown for name in SOME) == len(SOME)


def test_pictures_of_other_seeds_are_behind_a_click(pages):
    section = pages.html[pages.html.index('id="trapdoors"') : pages.html.index('id="checks"')]
    first, more = section.split("<summary>Other seeds: 2 pictures</summary>", 1)[0:2]
    assert "Trap-MID, seed 0: triggers" in first and "Trap-MID, seed 1: triggers" not in first
    assert "Trap-MID, seed 1: triggers" in more


# --- charts -------------------------------------------------------------------------------------


def size(png):
    return Image.open(io.BytesIO(png)).size


def colours(png):
    return {colour for _, colour in Image.open(io.BytesIO(png)).convert("RGB").getcolors(1 << 24)}


def rgb(name):
    return tuple(int(name[i : i + 2], 16) for i in (1, 3, 5))


def test_curves_of_any_columns():
    """Gaps, infinities, zeros, negative numbers and widely different sizes are drawn."""
    steps = [float(step) for step in range(1, 6)]
    history = History(
        steps,
        {
            "loss": [3.0, math.nan, math.inf, 0.0, -2.0],
            "information": [400.0, 300.0, 200.0, 100.0, 90.0],
            "label_dependence": [-0.001, -0.002, -0.003, -0.004, -0.005],
            "val_accuracy": [0.1, 0.5, 0.7, 0.9, 1.0],
            "empty": [math.nan] * 5,
        },
    )
    png = learning_curves.draw("mid", {"0": history, "1": History([1.0], {"loss": [2.0]})}, "epoch")
    assert {rgb(colour) for colour in canvas.PALETTE[:2]} <= colours(png)
    three = size(png)[0]
    assert size(learning_curves.draw("none", {"0": History([], {"loss": []})}, "epoch"))[0] < three


def test_more_columns_than_names():
    history = History([1.0, 2.0], {f"term{i}": [1.0, 2.0 + i] for i in range(12)})
    more = History([1.0, 2.0], {f"term{i}": [1.0, 2.0 + i] for i in range(40)})
    few, many = (learning_curves.draw("x", {"0": one}, "step") for one in (history, more))
    assert size(many) == size(few)
    assert learning_curves.draw("x", {"0": more}, "step") == many


@pytest.mark.slow
def test_charts_of_many_defences_stay_on_a_page():
    points = [
        charts.Point(attack=attack, defense=f"defence_{i}@small_ir", accuracy=0.9, aa1=seed / 10)
        for attack in ("gmi", "kedmi", "lomma", "plgmi")
        for i in range(17)
        for seed in range(3)
    ]
    for png in (charts.attack_bars(points, 0.05, 0.97), charts.trade_off(points)):
        assert size(png)[0] < 1600
    assert rgb(canvas.PALETTE[5]) in colours(charts.attack_bars(points[2:3], None, None))


def test_many_attacks_fit_on_a_page():
    """A column an attack; and what protection costs is shown for the worst case alone."""
    names = [f"plgmi_plus_plus_{i}" for i in range(11)]
    rates = {name: {f"defence_{i}": 0.3 for i in range(12)} for name in names}
    worst = {f"defence_{i}": names[0] for i in range(12)}
    unmarked = Marks(failed=(), partial={}, evaluators={})
    assert size(charts.matrix(rates, worst, unmarked))[0] < 1600
    one = charts.matrix({"plgmi": {"none": 0.3}}, {"none": "plgmi", "mid": None}, unmarked)
    assert 400 < size(one)[0] < 700
    points = [
        charts.Point(attack=name, defense=NONE, accuracy=0.9, aa1=0.1 + 0.5 * (name == "b"))
        for name in "abcdef"
    ]
    chosen = figures.worst_points([*points, replace_attack(points[0], "PLG-MI")], {"none": "plgmi"})
    assert [(point.attack, point.defense) for point in chosen] == [("PLG-MI", NONE)]
    assert figures.worst_points(points, {"none": None}) == []


def replace_attack(point, attack):
    return dataclasses.replace(point, attack=attack)


def test_frechet_without_inception_is_never_called_fid(pages):
    for text in (pages.html, pages.markdown):
        assert "FID" not in re.sub(r"data:image/webp;base64,[\w+/=]*", "", text)
        assert "Fréchet distance (evaluator features)" in text


def test_a_distance_that_is_not_there_is_shown_with_its_count(pages):
    line = next(line for line in pages.markdown.splitlines() if "**GMI** | **Trap-MID**" in line)
    assert line.endswith("| **–** | **10 / 200** |")


def test_a_failed_check_stands_at_the_top(root, study):
    pages = written(root, study, failed=["positive_control"])
    for text in (pages.html, pages.markdown):
        top = first_screen(text)
        assert "1 of 5 checks failed that make a number weak, not the study invalid" in top
        assert "so the study is invalid" not in top
        assert "strongest AA-1 0.41" in top
        assert "FAILED" in text


def test_an_invalid_study_is_told_from_a_weak_number(root, study):
    pages = written(root, study, failed=["positive_control", "floor_is_chance"])
    for text in (pages.html, pages.markdown):
        top = first_screen(text)
        assert "1 of 5 validity checks failed, so the study is invalid" in top
        assert top.index("floor is chance") < top.index("1 of 5 checks failed that make")
        assert top.index("1 of 5 checks failed that make") < top.index("positive control")


@pytest.mark.parametrize(
    ("path", "drawn"),
    [
        ("data/raw/synthetic/celeba", True),
        ("data/raw/synthetic2/celeba", False),  # another folder
        ("data/external/celeba", False),
        ("/mnt/data/raw/synthetic", False),
    ],
)
def test_the_faces_are_drawn_where_the_used_ones_are(tmp_path, path, drawn):
    """`raw` and unused rows of `data` say nothing about what the classifiers learnt."""
    study = fake_study.write(tmp_path, seeds=(0,))
    study["data"]["faces"]["private"]["path"] = path
    study["data"]["unused"] = {"private": {"reader": "digits", "path": "data/raw/synthetic"}}
    found = inputs.read(study | {"data": {"faces": study["data"]["faces"]}}, tmp_path, {})
    cautions = verdict.cautions(only(dataclasses.replace(found, params=study)))
    assert any("drawn by a program" in caution for caution in cautions) is drawn
    assert not any("digits" in caution for caution in cautions)


def test_the_curves_for_dvc_have_the_columns_of_dvc_yaml(root, study):
    found = inputs.read(study, root, {})
    tables = figures.curves(found)
    assert list(tables) == [f"figures/curves/{row}.csv" for row in study["targets"]]
    lines = tables["figures/curves/none-0.csv"].decode().splitlines()
    assert lines[0] == "step,test_accuracy"
    assert len(lines) == 9 and float(lines[-1].split(",")[1]) > 0.9


def test_a_failed_row_says_what_it_found(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,))
    path = tmp_path / "reports/scores/attack_runs/gmi-none-0.json"
    scores = json.loads(path.read_text(encoding="utf-8"))
    scores["checks"]["target_agreement"] = False
    scores["failed_checks"] = {"target_agreement": "0.31, least 0.9"}
    fake_study.write_json(path, scores)
    pages = written(tmp_path, study)
    top = first_screen(pages.html)
    assert "target agreement</strong>" in top
    assert "gmi-none-0: 0.31, least 0.9" in pages.html


def test_a_failed_judge_says_what_it_found(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,), defenses={"none": "none"})
    path = tmp_path / "reports/scores/judges/verifier.json"
    scores = json.loads(path.read_text(encoding="utf-8"))
    scores["checks"]["blank_images_refused"] = False
    scores["failed_checks"] = {"blank_images_refused": "accepted 0.0300, most 0.01"}
    fake_study.write_json(path, scores)
    found, name = inputs.read(study, tmp_path, {}), "blank_images_refused"
    (line,) = findings.check_lines(found, {name: False}, {}, {name: "failed by judges/verifier"})
    assert line.detail == "failed by judges/verifier; verifier: accepted 0.0300, most 0.01"


def test_what_many_rows_found_stands_once(tmp_path):
    """Judges are held against an evaluator in the row of every attack, with one result."""
    study = fake_study.write(tmp_path, seeds=(0,))
    found, name = inputs.read(study, tmp_path, {}), "judges_agree_on_real"
    rows = list(found.attack_runs)
    for row in rows[:5]:
        failed = {name: "0.66, least 0.9" if row != rows[2] else "0.7, least 0.9"}
        found.attack_runs[row] = dataclasses.replace(found.attack_runs[row], failed_checks=failed)
    (line,) = findings.check_lines(found, {name: False}, {}, {})
    assert line.detail == f"4 rows: 0.66, least 0.9; {rows[2]}: 0.7, least 0.9"
    found.attack_runs.pop(rows[4])
    (line,) = findings.check_lines(found, {name: False}, {}, {})
    assert line.detail.startswith(f"{rows[0]}, {rows[1]}, {rows[3]}: 0.66, least 0.9; ")


@pytest.mark.parametrize(
    ("share", "said"), [(0.0, "counted only, whatever is found"), (0.99, "in 99 % or more")]
)
def test_the_share_that_must_hold_is_said_in_words(tmp_path, share, said):
    study = fake_study.write(tmp_path, seeds=(0,), defenses={"none": "none"})
    path = tmp_path / "reports/data/faces.json"
    contract = json.loads(path.read_text(encoding="utf-8"))
    contract["expectations"][0]["kwargs"] = {"mostly": share, "min_value": 1}
    fake_study.write_json(path, contract)
    assert f"| {said}, min value 1 |" in written(tmp_path, study).markdown


def test_a_broken_expectation_is_marked(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,), defenses={"none": "none"})
    path = tmp_path / "reports/data/faces.json"
    contract = json.loads(path.read_text(encoding="utf-8"))
    contract["expectations"][0] |= {"success": False, "unexpected": 3, "examples": ["a|b", "c"]}
    fake_study.write_json(path, contract)
    made = written(tmp_path, study)
    line = next(line for line in made.markdown.splitlines() if "BROKEN" in line)
    assert line.endswith("| ***BROKEN: a\\|b; c*** |") and "***3 / " in line
    assert "<em><strong>BROKEN: a|b; c</strong></em>" in made.html
    assert "1 of 2 expectations hold" in made.html


def test_copies_and_lists_are_stated(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,), defenses={"none": "none"})
    path = tmp_path / "reports/data/faces.json"
    contract = json.loads(path.read_text(encoding="utf-8"))
    one = {"file": "train.txt", "md5": "ab12", "kind": "own list"}
    contract |= {"private_twins": 20, "sources": {"public_copies": ["a.jpg"], "lists": [one]}}
    fake_study.write_json(path, contract)
    words = "Private images with a copy: 20; copies left out of the public: 1. "
    made = written(tmp_path, study)
    assert f"{words}train.txt: own list, MD5 ab12. Images are" in made.markdown


def test_every_parameter_is_stated(pages, study):
    """Rows have tables of their own; what they change of a block is stated, too."""
    text = html.unescape(pages.html)
    rows = {"raw", "data", *results.TRAINED}
    blocks = {name: b for name, b in study.items() if isinstance(b, dict) and name not in rows}
    stating = {name: block for name, block in blocks.items() if block}
    assert len(stating) > 3
    for name, block in stating.items():
        stated = json.dumps(block, indent=2, ensure_ascii=False)
        assert f"### {name}\n\n```json\n{stated}\n```" in pages.markdown
        assert f"{stated}\n</code></pre>" in text


def test_what_rows_change_is_stated(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,), defenses={"none": "none"})
    study["targets"]["none-0"]["set"] = {"smoothing": {"factor": -0.125}}
    text = written(tmp_path, study).markdown
    stated = text[text.index("### what rows change") :].split("```")[1].removeprefix("json")
    assert json.loads(stated) == {"targets.none-0": {"smoothing": {"factor": -0.125}}}


def test_passing_checks_are_said(pages):
    assert "All 5 validity checks</a> passed" in pages.html
    assert "FAILED" not in pages.html


def test_it_says_what_it_does_not_show(root, study, pages, tmp_path):
    assert "They are not people" in pages.html
    assert "There are 2 seeds" in pages.html
    single = fake_study.write(tmp_path, seeds=(0,))
    one = written(tmp_path, single)
    assert "There is one seed. It says nothing about variance" in one.markdown
    assert "mean of" not in one.markdown


def test_markdown_pictures_exist(root, study, pages, built):
    _, charts = built
    paths = re.findall(r"\]\(([^)]+\.png)\)", pages.markdown)
    assert paths
    for path in paths:
        assert path in (charts | faces(study)) or (root / "reports" / path).is_file()


def test_words_from_files_are_escaped(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,))
    (tmp_path / "docs").mkdir()
    text = "# Deviations\n\n- <b>one</b>\n  more\n\n| a | b |\n| - | - |\n| 1 | 2 |\n"
    (tmp_path / "docs" / "deviations.md").write_text(text, encoding="utf-8")
    pages = written(tmp_path, study)
    assert "<li>&lt;b&gt;one&lt;/b&gt;\nmore</li>" in pages.html
    assert "<td>2</td>" in pages.html
    assert "<summary>Deviations from the papers</summary>\n\n- <b>one</b>" in pages.markdown


def test_the_papers_numbers_have_a_page_and_a_section_if_given(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,))
    assert "The paper's numbers" not in written(tmp_path, study).markdown
    shutil.copytree(ROOT / "reports" / "paper", tmp_path / "reports" / "paper")
    pages = written(tmp_path, study)
    assert "| match | 0 |" in pages.markdown  # drawn faces
    assert '<a href="paper.html">' in pages.html and "](paper.md)" in pages.markdown
    shown = page.render_paper(findings.Findings(inputs=read(tmp_path, study)[0], **EMPTY))
    assert '<a href="report.html">' in shown.html and "](report.md)" in shown.markdown
    assert shown.html.count("<summary>Table ") == 20
    assert "| PLG-MI / Trap-MID: AA-1 (%) | 6.23 ± 5.60 | 11.00" in shown.markdown


def test_without_the_papers_numbers_their_page_says_so(tmp_path):
    found, _ = read(tmp_path, fake_study.write(tmp_path, seeds=(0,)))
    shown = page.render_paper(findings.Findings(inputs=found, **EMPTY))
    assert "There is no folder reports/paper" in shown.markdown


def test_a_missing_picture_is_named(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,))
    name = next(iter(study["data"]))
    (tmp_path / f"reports/figures/data/{name}.png").unlink()
    with pytest.raises(ResultError, match=rf"{name}\.png: no such file"):
        inputs.read(study, tmp_path, {})


def test_a_comparison_shows_the_first_people():
    """Private and rebuilt; the fourth person is beyond the limit, a miss leaves its place empty."""
    labels = torch.arange(4).repeat_interleave(3)
    shade = (40 + 50 * labels)[:, None, None, None].expand(12, 3, 8, 8).to(torch.uint8)
    real, rebuilt = shade.clone(), shade.clone()
    real[:, 1:], rebuilt[:, :2] = 0, 0  # the private ones red, the others blue
    found = labels != 1
    made = comparison.Made(rebuilt, labels, labels == 0, found)
    parts = ("plgmi", real, labels, {"none": made, "trapmid": made}, {}, 3)
    png = comparison.compare(*parts)
    assert png.startswith(PNG) and png == comparison.compare(*parts)
    shown = colours(png)
    assert {(40, 0, 0), (90, 0, 0), (140, 0, 0)} <= shown and (190, 0, 0) not in shown
    assert {(0, 0, 40), (0, 0, 140)} <= shown and not {(0, 0, 90), (0, 0, 190)} & shown


def test_a_comparison_of_many_defences_goes_into_bands():
    """Equal people in every band; a band is no wider than five defences."""
    images = torch.rand(24, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(12).repeat_interleave(2)
    one = comparison.Made(images, labels, labels % 2 == 0)
    five = size(comparison.compare("plgmi", images, labels, dict.fromkeys("abcde", one), {}, 6))
    wide = {f"defence_{i}": one for i in range(17)}
    many = size(comparison.compare("plgmi", images, labels, wide, {}, 12))
    assert many[0] <= five[0]
    assert many[1] == 4 * five[1]  # four bands of six people


def test_a_picture_names_the_defences_that_are_in_it(tmp_path):
    """Those on the first data alone: others have other people, and a picture shows the same."""
    study = fake_study.write(tmp_path, seeds=(0,))
    found, metrics = read(tmp_path, study)
    path = "figures/comparison/gmi.png"
    one = Findings(inputs=found, metrics=metrics, pictures={path: b""})
    assert f"AA-1: {NONE} 31.0 %; {CONTROL} 28.0 %; {TRAPMID} 4.0 %." in _caption(one)
    for section in ("targets", "attack_runs"):
        for row in study[section]:
            if "trapmid" in row:
                study[section][row]["data"] = "others"
    assert f"AA-1: {NONE} 31.0 %; {CONTROL} 28.0 %." in _caption(one)


def test_a_picture_of_several_seeds_says_so(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0, 1))
    found, metrics = read(tmp_path, study)
    one = Findings(inputs=found, metrics=metrics, pictures={"figures/comparison/gmi.png": b""})
    study["attack_runs"]["gmi-trapmid-0"]["seed"] = 2
    assert ", seed 1. AA-1: " in _caption(one)
    study["attack_runs"]["gmi-trapmid-1"]["seed"] = 3
    assert ", of each its lowest seed: 0, 0, 2. AA-1: " in _caption(one)


def _caption(found):
    (shown,) = recovered._compared(found, "gmi").shown
    return shown.caption
