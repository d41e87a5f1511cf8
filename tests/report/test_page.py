"""The report of a study that nobody computed: what it must say, and that it opens offline."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
import torch

import fake_study
from trapmid.report import comparison, figures, inputs, page, summary
from trapmid.results import ResultError

PNG = b"\x89PNG\r\n"


def build(root, study, failed=()):
    found = inputs.read(study, root, fake_study.signature_scores(study))
    names = ("positive_control", "floor_is_chance")
    metrics = summary.summarise(
        study,
        found.evaluators,
        found.targets,
        found.cells,
        {name: name not in failed for name in names},
    )
    charts = figures.draw_all(found, metrics)
    lines = page.check_lines(
        found,
        metrics["checks"],
        {"positive_control": "The strongest attack succeeds."},
        {"positive_control": "strongest AA-1 0.41"},
    )
    return page.render(found, metrics, charts, lines), charts


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def study(root):
    return fake_study.write(root)


@pytest.fixture(scope="module")
def built(root, study):
    return build(root, study)


@pytest.fixture(scope="module")
def pages(built):
    return built[0]


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

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_self_contained_and_balanced(pages):
    links = Links(pages.html)
    assert links.open == []
    for address in links.addresses:
        assert address.startswith("data:image/png;base64,") or address[1:] in links.ids
    assert "http:" not in pages.html
    assert "https:" not in pages.html
    assert "<script" not in pages.html


def test_every_section_is_there(pages):
    for words in (
        "Question and threat model",
        "Targets",
        "Attacks",
        "What the attacks recover",
        "Trapdoors",
        "Checks",
        "Data",
        "Training curves",
        "Protocol",
        "Time and memory",
    ):
        assert f">{words}</h2>" in pages.html
        assert f"\n## {words}\n" in pages.markdown


def test_the_attack_table_shows_every_seed_and_the_references(pages):
    lines = pages.markdown.splitlines()
    start = next(i for i, line in enumerate(lines) if "**plgmi** | **trapmid**" in line)
    assert "**mean of 2**" in lines[start]
    assert "**13.00 ± 1.00**" in lines[start]  # 12 % and 14 %
    assert [line.split("|")[3].strip() for line in lines[start + 1 : start + 3]] == ["0", "1"]
    assert any(line.startswith("| *floor*") and "| *6.00* |" in line for line in lines)
    assert any(line.startswith("| *ceiling*") and "| *97.00* |" in line for line in lines)


def test_frechet_without_inception_is_never_called_fid(pages):
    for text in (pages.html, pages.markdown):
        assert "FID" not in re.sub(r"data:image/png;base64,[\w+/=]*", "", text)
        assert "Fréchet distance (evaluator features)" in text


def test_a_null_distance_is_shown_with_its_count(pages):
    line = next(line for line in pages.markdown.splitlines() if "**gmi** | **trapmid**" in line)
    assert line.endswith("| **null** | **10 / 200** |")


def test_a_failed_check_stands_at_the_top(root, study):
    pages, _ = build(root, study, failed=["positive_control"])
    for text in (pages.html, pages.markdown):
        top = text[: text.index("Question and threat model")]
        assert "1 of 5 validity checks failed" in top
        assert "strongest AA-1 0.41" in top
        assert "FAILED" in text


def test_a_failed_row_says_what_it_found(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,))
    path = tmp_path / "reports/scores/cells/gmi-none-0.json"
    scores = json.loads(path.read_text(encoding="utf-8"))
    scores["checks"]["target_agreement"] = False
    scores["failed_checks"] = {"target_agreement": "0.31, least 0.9"}
    fake_study.write_json(path, scores)
    pages, _ = build(tmp_path, study)
    assert "target_agreement</b>" in pages.html[: pages.html.index("<nav>")]
    assert "gmi-none-0: 0.31, least 0.9" in pages.html


def test_passing_checks_are_said(pages):
    assert "All 5 validity checks passed" in pages.html
    assert "FAILED" not in pages.html


def test_it_says_what_it_does_not_show(root, study, pages, tmp_path):
    assert "They are not people" in pages.html
    assert "There are 2 seeds" in pages.html
    single = fake_study.write(tmp_path, seeds=(0,))
    one, _ = build(tmp_path, single)
    assert "There is one seed. It says nothing about variance" in one.markdown
    assert "mean of" not in one.markdown


def test_markdown_pictures_exist(root, pages, built):
    _, charts = built
    paths = re.findall(r"\]\(([^)]+\.png)\)", pages.markdown)
    assert paths
    for path in paths:
        assert path in charts or (root / "reports" / path).is_file()


def test_the_same_study_gives_the_same_bytes(root, study, built):
    pages, charts = build(root, study)
    assert charts == built[1]
    assert pages == built[0]
    assert all(png.startswith(PNG) for png in charts.values())


def test_words_from_files_are_escaped(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,))
    (tmp_path / "docs").mkdir()
    text = "# Deviations\n\n- <b>one</b>\n  more\n\n| a | b |\n| - | - |\n| 1 | 2 |\n"
    (tmp_path / "docs" / "deviations.md").write_text(text, encoding="utf-8")
    pages, _ = build(tmp_path, study)
    assert "<li>&lt;b&gt;one&lt;/b&gt; more</li>" in pages.html
    assert '<td class="words">2</td>' in pages.html
    assert "## Deviations from the papers\n\n- <b>one</b>" in pages.markdown


def test_the_papers_rows_are_shown_if_given(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,))
    claims = (
        "source: the paper\nsetting: CelebA\ncolumns: [aa1]\nrows:\n"
        "- {attack: plgmi, defense: trapmid, aa1: [6.23, 5.6]}\n"
        "- {attack: kedmi, defense: trapmid, aa1: [9.24, 9.36]}\n"
    )
    (tmp_path / "reports" / "claims.yaml").write_text(claims, encoding="utf-8")
    pages, _ = build(tmp_path, study)
    assert "6.23 ± 5.60" in pages.html
    assert "9.24" not in pages.markdown  # no such attack here


def test_a_missing_picture_is_named(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,))
    (tmp_path / "reports/figures/cells/gmi-none-0.png").unlink()
    with pytest.raises(ResultError, match=r"gmi-none-0\.png: no such file"):
        inputs.read(study, tmp_path, {})


def test_a_comparison_shows_the_first_people():
    images = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(4).repeat_interleave(3)
    made = comparison.Made(images, labels, labels % 2 == 0)
    png = comparison.compare("plgmi", images, labels, {"none": made, "trapmid": made}, 3)
    assert png.startswith(PNG)
    assert png == comparison.compare("plgmi", images, labels, {"none": made, "trapmid": made}, 3)
    assert len(png) < len(comparison.compare("plgmi", images, labels, {"none": made}, 4)) * 2
