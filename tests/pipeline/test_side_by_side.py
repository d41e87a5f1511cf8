"""`make repro JOBS=2`: targets side by side, each by a DVC of its own in one folder."""

from __future__ import annotations

import re

import graph
import pytest
from closure import ROOT


def listed() -> dict[str, str]:
    """The Makefile's stages of one target: kind -> pattern of its rows."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.search(r"^OF_A_TARGET := (.*)$", text, re.MULTILINE)
    assert found
    return dict(word.split("@") for word in found[1].split())


def test_it_lists_every_stage_of_a_target_in_running_order():
    of_a_target = ("targets", "surrogates", "leaks", "signatures", "guided_priors", "cells")
    kinds = [kind for kind, section in graph.SECTIONS.items() if section in of_a_target]
    assert list(listed()) == kinds


@pytest.mark.slow
def test_it_leaves_nothing_but_the_report(study):
    """A second seed: three targets and all that hangs from them, two at a time."""
    study.choose("toy", [0, 1])
    process = study.start("make", "side-by-side", "JOBS=2")
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    rows = ("none", "none_aug", "trapmid")
    for row in (f"{name}-{seed}" for name in rows for seed in (0, 1)):
        assert f"begin {row}" in printed and f"end {row}" in printed
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
