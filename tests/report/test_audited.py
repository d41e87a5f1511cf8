"""The first screen of an audit: the verdict, who gets what, how surely, and of whom most."""

from __future__ import annotations

import json
from typing import Any

import pytest

import fake_study
from fake_report import read
from trapmid.report.blocks import Note
from trapmid.report.findings import Findings
from trapmid.report.people import Exposed, Person
from trapmid.report.sections import audited, verdict

PEOPLE = (Person("ada", 0, 4, None, 5), Person("b*b", 1, 1, None, 5), Person("cy", 2, 0, None, 5))


def rates(aa1: float, low: float, high: float) -> dict[str, Any]:
    ends = {"low": low, "high": high, "kind": "identities"}
    return {"aa1": aa1, "intervals": {"aa1": ends}}  # without judges there is no key of them


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """A study in which Trap-MID is called the audited model."""
    root = tmp_path_factory.mktemp("audit")
    study = fake_study.write(root)
    inputs, metrics = read(root, study)
    for row, block in study["targets"].items():
        block["defense"] = "audited" if row.startswith("trapmid-") else block["defense"]
    return Findings(inputs=inputs, metrics=metrics, pictures={}, exposed={})


def audit(found: Findings, *, aa1: float, low: float, control: bool = True) -> Findings:
    """The same with these numbers of PLG-MI, less for other attacks, and a floor of 3 to 9 %."""
    metrics = json.loads(json.dumps(found.metrics))
    worst = {"attack": "plgmi", "aa1": aa1, "failed": [], "attacks": 3}
    metrics["worst"]["audited"] = worst
    metrics["targets"]["audited"] = metrics["targets"]["none"]
    for attack, own in {
        "gmi": rates(aa1 / 2, 0.0, 1.0),
        "plgmi": rates(aa1, low, 0.9),
        "brepmi": rates(0.2, 0.1, 0.31),
    }.items():
        metrics["attacks"].setdefault(attack, {})["audited"] = own
    metrics["references"] |= {"floor": rates(0.06, 0.03, 0.09), "ceiling": rates(0.97, 0.9, 1.0)}
    metrics["checks"]["positive_control"] = control
    exposed = {"audited": Exposed("plgmi", PEOPLE)}
    return Findings(inputs=found.inputs, metrics=metrics, pictures={}, exposed=exposed)


def front(found: Findings) -> tuple[Note, str]:
    note, lines = audited.front(found)
    assert isinstance(note, Note) and isinstance(lines, str)
    return note, lines


def test_every_question_has_a_line(found: Findings) -> None:
    _, text = front(audit(found, aa1=0.6, low=0.5))
    lines = text.splitlines()
    assert lines[0].startswith(
        "- **Whoever has the model's file** gets AA-1 **60.0 %** (95 % interval 50.0 to 90.0 %) by "
        "PLG-MI, which trains its generator"
    )
    assert lines[1].startswith(
        "- **Whoever sees its labels alone** gets AA-1 **20.0 %** (95 % interval 10.0 to 31.0 %) "
        "by BREP-MI."
    )
    assert "random faces, for which nobody asks a model, get 6.0 %; real test images" in lines[2]
    assert (
        "2 of 3 people" in lines[3]
        and "by PLG-MI, most often ada (4 of 5), b\\*b (1 of 5) (" in lines[3]
    )
    controls = lines[4:]
    assert len(controls) == len(found.targets) - 1
    assert all(line.startswith("- **The control**") for line in controls)


@pytest.mark.parametrize(
    ("aa1", "low", "control", "kind", "words"),
    [
        (0.6, 0.5, True, "caution", "gives away what its people look like"),
        (0.6, 0.5, False, "caution", "has 60.0 % of its images recognised, random faces have at"),
        (0.1, 0.05, True, "warning", "did not get more than chance"),
        (0.1, 0.05, False, "warning", "shows nothing about the model"),
    ],
)
def test_the_verdict(
    found: Findings, aa1: float, low: float, control: bool, kind: str, words: str
) -> None:
    note, _ = front(audit(found, aa1=aa1, low=low, control=control))
    assert note.kind == kind and words in note.text


def test_it_stands_on_the_first_screen_of_audits_alone(found: Findings) -> None:
    told = verdict.front(audit(found, aa1=0.6, low=0.5))
    assert told[0] == "# What does the audited model give away?"
    assert isinstance(told[1], str) and told[1].startswith("An audit, ")
    assert isinstance(told[2], Note) and "gives away" in told[2].text
    assert not any(isinstance(one, str) and "the strongest of 3 attacks" in one for one in told)
