"""What the report says of adversarial examples, and its chart."""

from __future__ import annotations

import json
import re

import pytest
from matplotlib.figure import Figure

import fake_study
from fake_report import read, written
from trapmid.report import scatter
from trapmid.report.marks import Marks

UNMARKED = Marks(failed=(), partial={}, evaluators={})


def section(root, study):
    return written(root, study).markdown.partition("## Robustness to adversarial examples")[2]


def cells(text, first):
    """The cells of every line of a table that begins with these words."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines if line[0].strip() == first]


def edit_target(root, row, **changes):
    path = root / f"reports/scores/targets/{row}.json"
    fake_study.write_json(path, json.loads(path.read_text(encoding="utf-8")) | changes)


def test_robust_accuracy_stands_beside_the_worst_case(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,))
    text = section(tmp_path, study)
    first, *_ = cells(text, "Trap-MID")
    assert first == ["Trap-MID", "42.0", "92.0", "40.0 (35.0–45.0)", "10.0 (5.0–15.0)"]
    assert cells(text, "No defence")[0][3:] == ["80.0 (75.0–85.0)", "20.0 (15.0–25.0)"]
    assert "(figures/robustness.png)" in text


def test_detection_is_told_of_trapdoored_targets_alone(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,))
    text = section(tmp_path, study).partition("### Does the trapdoor notice?")[2]
    text = text.partition("\n## ")[0]
    assert cells(text, "Trap-MID") == [
        ["Trap-MID", "0", norm, images, n, dsr, recall, "6.2", "0.960"]
        for norm in ("L∞ 0.0314", "L2 0.5")
        for images, n, dsr, recall in (
            ("all", "60", "84.4", "75.0"),
            ("changed", "48", "93.8", "93.8"),
        )
    ]
    assert not cells(text, "No defence")


def test_without_a_trapdoor_nothing_is_said_of_detection(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,), defenses={"none": "none", "mid": "mid"})
    assert "Does the trapdoor notice?" not in section(tmp_path, study)


def test_a_weak_attack_is_a_star_and_a_sentence(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0, 1))
    assert "`attack_strength` failed" not in section(tmp_path, study)
    edit_target(tmp_path, "trapmid-1", checks={"attack_strength": False})
    text = section(tmp_path, study)
    assert "`attack_strength` failed" in text
    assert cells(text, r"Trap-MID\*") and cells(text, "No defence")


@pytest.fixture
def metrics(tmp_path):
    study = fake_study.write(tmp_path, seeds=(0,))
    return read(tmp_path, study)[1]


def test_a_spot_has_the_numbers_of_its_defence(metrics):
    found = {(one.radius, one.defense): one for one in scatter.spots(metrics, UNMARKED)}
    assert len(found) == 2 * 3
    one = found["0.0039", "Trap-MID"]
    assert (one.accuracy, one.aa1) == (0.4, 0.42)
    assert one.across == (0.35, 0.45)
    assert one.along == (pytest.approx(0.37), pytest.approx(0.47))


def test_the_chart_has_a_panel_per_radius_and_no_words_over_others(metrics):
    figure = scatter.draw(scatter.spots(metrics, UNMARKED))
    assert isinstance(figure, Figure)
    assert [ax.get_title() for ax in figure.axes] == ["radius 0.0039", "radius 0.0157"]
    for ax, x in zip(figure.axes, (80, 20), strict=True):
        marks = [line for line in ax.lines if line.get_marker() != "None"]
        assert [line.get_xdata()[0] for line in marks] == [x, x, x / 2]
        assert len({(line.get_marker(), line.get_color()) for line in marks}) == 3
    figure.canvas.draw()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "No defence",
        "No defence, Trap-MID's augmentation (control)",
        "Trap-MID",
    ]
    frame = legend.get_window_extent()
    words = [*(ax.xaxis.label for ax in figure.axes), *(ax.title for ax in figure.axes)]
    assert not any(frame.overlaps(one.get_window_extent()) for one in words if one.get_text())


def test_a_worst_case_in_doubt_has_its_star_in_the_legend(metrics):
    marks = Marks(failed={("plgmi_distil", "trapmid"), ("gmi", "none")}, partial={}, evaluators={})
    figure = scatter.draw(scatter.spots(metrics, marks))
    found = [text.get_text() for text in figure.legends[0].get_texts()]
    assert found[0] == "No defence" and found[-1] == "Trap-MID*"  # GMI is not the worst case


def test_equal_numbers_give_equal_bytes(metrics):
    first, again = scatter.robustness(metrics, UNMARKED), scatter.robustness(metrics, UNMARKED)
    assert first == again and re.match(rb"\x89PNG", first[scatter.PATH])


def test_an_unattacked_study_has_an_empty_chart(metrics):
    bare = {"targets": metrics["targets"], "worst": {n: {"aa1": None} for n in metrics["targets"]}}
    assert scatter.spots(bare, UNMARKED) == []
    assert scatter.robustness(bare, UNMARKED)[scatter.PATH].startswith(b"\x89PNG")
