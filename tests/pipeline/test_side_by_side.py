"""`make repro JOBS=2`: targets side by side, each by a DVC of its own in one folder."""

from __future__ import annotations

import re

import graph
import pytest
from checkout import ROOT


def listed() -> dict[str, str]:
    """The Makefile's stages of one target: kind -> pattern of its rows."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.search(r"^OF_A_TARGET := (.*)$", text, re.MULTILINE)
    assert found
    return dict(word.split("@") for word in found[1].split())


def test_it_lists_every_stage_of_a_target_in_running_order():
    of_a_target = ("targets", "surrogates", "leaks", "signatures", "guided_priors", "attack_runs")
    kinds = [kind for kind, section in graph.SECTIONS.items() if section in of_a_target]
    assert list(listed()) == kinds


@pytest.mark.slow
def test_it_leaves_nothing_but_the_report(study):
    """Two of three targets have something to do, at the same time."""
    study.edit("params.yaml", "  plgmi:\n    steps: 3\n", "  plgmi:\n    steps: 2\n")
    process = study.start("make", "side-by-side", "JOBS=2")
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    for row in ("none-0", "none_aug-0", "trapmid-0"):
        assert f"begin {row}" in printed and f"end {row}" in printed
        log = (study.root / f".scratch/{row}.log").read_text(encoding="utf-8")
        assert (f"Running stage 'invert@plgmi-{row}'" in log) == (row != "none_aug-0")
    assert study.changed() == {"report", "track"}
    assert study.repro() == ["report", "track"]


@pytest.mark.slow
def test_a_failure_names_its_log(study):
    study.edit("params.yaml", "beta: 0.3", "beta: -1")
    process = study.start("make", "side-by-side", "JOBS=2")
    printed, _ = process.communicate()
    assert process.returncode != 0
    assert "failed trapmid-0: see .scratch/trapmid-0.log" in printed
    assert "beta" in (study.root / ".scratch/trapmid-0.log").read_text(encoding="utf-8")
