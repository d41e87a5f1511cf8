"""`trapmid run` on a study: several stages at a time, and the same scores as by `dvc repro`."""

from __future__ import annotations

import pytest

SHORTER = ["  plgmi-none-0: {attack: plgmi,", "  plgmi-trapmid-0: {attack: plgmi,"]


@pytest.mark.slow
def test_scores_and_books_are_those_of_dvc(studied, tmp_path):
    """Two of three targets have something to do, at the same time."""
    ours, plain = (studied.copy(tmp_path / name) for name in ("ours", "plain"))
    for one in (ours, plain):
        for row in SHORTER:
            one.edit("params.yaml", row, f"{row} set: {{steps: 2}},")
    code, printed = ours.trapmid("run", "--jobs", "2")
    assert code == 0, printed
    ran = plain.repro()
    assert "invert@plgmi-trapmid-0" in ran
    assert sorted(line.split()[3] for line in printed.splitlines() if "] end" in line) == sorted(
        ran
    )
    assert f"{len(ran)} run" in printed.splitlines()[-1]
    assert ours.scores() == plain.scores()
    assert ours.changed() == set()
    assert ours.repro() == []


@pytest.mark.slow
def test_a_stage_that_is_not_there_is_one_line(study):
    code, printed = study.trapmid("run", "train_target@nobody-0")
    assert code == 2
    assert printed.startswith("trapmid run: error: dvc: ") and "train_target@nobody-0" in printed
    assert len(printed.splitlines()) == 1


@pytest.mark.slow
def test_params_are_checked_before(study):
    study.edit("params.yaml", "beta: 0.3", "beta: -1")
    logs = study.root / ".scratch/run"
    before = {log: log.stat().st_mtime_ns for log in logs.iterdir()}
    code, printed = study.trapmid("run", "--jobs", "2")
    assert code == 2
    assert printed.startswith("trapmid run: error: ") and "beta" in printed
    assert before == {log: log.stat().st_mtime_ns for log in logs.iterdir()}  # nothing ran
