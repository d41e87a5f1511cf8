"""reports/metrics.json, typed: what is read is what was written, and a wrong key is named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from test_gate import BASELINE, doctored, read

from trapmid.artifacts.results import ResultError, read_json
from trapmid.scoring.means import StudyMeans

COMMITTED = Path(__file__).parents[2] / "reports" / "baseline.json"


def test_the_committed_baseline_comes_back_as_it_was():
    content = read_json(COMMITTED)
    assert StudyMeans.read(COMMITTED).to_json() == content


def test_a_baseline_without_robust_accuracy_comes_back_as_it_was():
    targets = BASELINE["targets"]
    assert read(BASELINE).to_json()["targets"] == targets
    rates = {"robust_accuracy": {"0.0039": 0.5}}
    new = BASELINE | {"targets": targets | {"none": targets["none"] | rates}}
    assert read(new).to_json()["targets"] == new["targets"]


def test_numbers_that_came_later_come_back_as_they_were():
    """A 0 and an empty list are said, what was not measured is not."""
    new = doctored("attacks.plgmi.trapmid.signature_auc", 0.0)
    rates = dict.fromkeys(("agree", "accepted", "verifier_aa1", "identity_aa1"))
    new["attacks"]["plgmi"]["none"]["judges"] = rates | {"farther": 0.0}
    new["targets"]["none"]["failed"] = []
    again = read(new).to_json()
    assert again["attacks"] == new["attacks"]
    assert again["targets"] == new["targets"]


def test_what_is_written_is_json():
    spread = {"population": 0.1, "sample": None, "values": {"0": 0.5, "1": None}}
    more = {"spread": {"targets": {"none": {"test_accuracy": spread}}, "attacks": {}}}
    assert json.loads(json.dumps(read(BASELINE | more).to_json())) == BASELINE | more


@pytest.mark.parametrize("part", ["study", "worst", "references"])
def test_an_older_baseline_may_lack_what_came_later(part):
    assert not getattr(read(doctored(part)), part)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ResultError, match=r"metrics\.json: no such file"):
        StudyMeans.read(tmp_path / "metrics.json")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("checks", ..., r"metrics.json: missing ['checks']"),
        ("checks.positive_control", 1, "metrics.json: checks.positive_control: must be bool, is 1"),
        ("checks.extra", "yes", "metrics.json: checks.extra: must be bool, is 'yes' (str)"),
        ("attacks.plgmi.none.aa9", 0.5, "metrics.json: attacks.plgmi.none: unknown ['aa9']"),
        ("worst.none.failed", "gmi", "metrics.json: worst.none.failed: must be a list, is 'gmi'"),
        ("study.seeds", ..., "metrics.json: study: missing ['seeds']"),
        ("attacks.plgmi.none.aa5", ..., "metrics.json: attacks.plgmi.none: missing ['aa5']"),
        ("attacks.plgmi.none.aa1", True, "metrics.json: attacks.plgmi.none.aa1: must be float"),
        ("attacks.plgmi.none.aa1", "0.9", "metrics.json: attacks.plgmi.none.aa1: must be float"),
        ("attacks.plgmi.none.aa1", float("nan"), "attacks.plgmi.none.aa1: nan is not finite"),
    ],
)
def test_a_malformed_summary_is_one_line_that_names_the_key(path, value, words):
    with pytest.raises(ResultError, match=re.escape(words)) as caught:
        read(doctored(path, value))
    assert "\n" not in str(caught.value)
