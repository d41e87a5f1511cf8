"""What is read of a study: values, times, and keys made of content."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import torch
from stores import collected

import _stage
import fake_study
from trapmid.artifacts import results
from trapmid.artifacts.scratch import scratch
from trapmid.runtime import Runtime
from trapmid.tracking.records import collect


def test_a_time_that_is_none(place):
    stats = place / "reports/training/targets/none-0/stats.json"
    fake_study.write_json(stats, {"seconds": 9.0, "started": "yesterday"})
    with pytest.raises(ValueError, match=r"none-0/stats\.json: started: no time: 'yesterday'"):
        collected(place)


def test_the_key_is_the_content(place):
    keys = {record.name: record.key for record in collected(place).records}
    stats = place / "reports/training/targets/none-0/stats.json"
    fake_study.write_json(stats, {"seconds": 99.0, "device": "cuda"})
    assert {r.name: r.key for r in collected(place).records} == keys  # time is no result
    changed = fake_study.params(seeds=(0,))
    changed["trapdoor"]["beta"] = 0.1
    now = {r.name: r.key for r in collect(changed, place).records}
    assert {name for name in keys if now[name] != keys[name]} == {
        "target/trapmid-0",
        "surrogate/students-trapmid-0",
        "prior/plgmi-trapmid-0",
        "prior/distil-trapmid-0",
        *(f"attack/{attack}-trapmid-0" for attack in fake_study.AA1),
    }


def test_a_change_of_the_students_reaches_who_asks_them(place):
    keys = {record.name: record.key for record in collected(place).records}
    changed = fake_study.params(seeds=(0,))
    changed["surrogate_training"]["distil"]["epochs"] = 4
    now = {r.name: r.key for r in collect(changed, place).records}
    kinds = ("surrogate/students", "prior/distil", "attack/plgmi_distil")
    assert {name for name in keys if now[name] != keys[name]} == {
        f"{kind}-{defense}-0" for kind in kinds for defense in fake_study.DEFENSES
    }


def test_a_resumed_training_began_so_much_earlier(tmp_path):
    """Its pause is not counted, neither in the seconds nor between the two times."""
    rt = Runtime(device=torch.device("cpu"), seed=0, precision="fp32")
    with scratch(tmp_path / "scratch", "row") as checkpointer:
        checkpointer.earlier = 500.0
        before = datetime.now(UTC)
        with _stage.records(tmp_path, rt, checkpointer):
            pass
    stats = results.read_json(tmp_path / "stats.json")
    started, ended = (datetime.fromisoformat(stats[name]) for name in ("started", "ended"))
    assert (ended - started).total_seconds() == pytest.approx(stats["seconds"], abs=0.0015)
    assert 500 <= stats["seconds"] < 501
    assert before - timedelta(seconds=1) < ended < before + timedelta(seconds=10)


def test_a_missing_result_is_an_error_not_a_warning(place):
    (place / "reports/scores/targets/none-0.json").unlink()
    with pytest.raises(ValueError, match=r"targets/none-0\.json: no such file"):
        collected(place)
