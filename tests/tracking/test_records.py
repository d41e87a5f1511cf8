"""What is read of a study: values, times, and keys made of content."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest
import torch
from stores import collected

import _stage
import fake_study
from trapmid.artifacts import results
from trapmid.artifacts.scratch import Spent, scratch
from trapmid.runtime import Runtime
from trapmid.tracking.records import collect


def test_a_time_that_is_none(place):
    stats = place / "reports/training/targets/none-0/stats.json"
    fake_study.write_json(stats, {"seconds": 9.0, "started": "yesterday"})
    with pytest.raises(ValueError, match=r"none-0/stats\.json: started: no time: 'yesterday'"):
        collected(place)


def test_equal_scores_of_two_machines_are_one_result(place):
    def keys():
        study = collected(place)
        return {"study": study.key, **{record.name: record.key for record in study.records}}

    before, file = keys(), place / "reports/scores/targets/none-0.json"
    scores = json.loads(file.read_text(encoding="utf-8"))
    scores["computed_on"]["onednn"] = "AVX512_CORE"
    fake_study.write_json(file, scores)
    assert keys() == before
    fake_study.write_json(file, scores | {"test_accuracy": 0.5})
    assert {name for name, key in keys().items() if key != before[name]} == {
        "study",
        "target/none-0",
    }


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


def _axes(*rows):
    """What MLflow's compare page draws by default: the first three parameters that differ."""
    names = sorted({name for row in rows for name in row})
    return [name for name in names if len({row.get(name) for row in rows}) > 1][:3]


def test_any_two_rows_can_be_compared(place):
    rows = [record.params for record in collected(place).records]
    # evaluator, pretrained, targets, public prior, students, guided priors, attack runs, judges
    assert len(rows) == 1 + 1 + 3 + 1 + 3 + 6 + 13 + 2
    for one, other in itertools.combinations(rows, 2):
        axes = _axes(one, other)
        assert len(axes) == 3 and (one.keys() & other.keys()).issuperset(axes), (one, other)


def test_two_studies_differ_by_what_was_changed(place):
    changed = fake_study.params(seeds=(0,))
    changed["trapdoor"]["beta"] = 0.1
    pair = [
        study.params | {"Study": study.name}
        for study in (collected(place), collect(changed, place))
    ]
    assert _axes(*pair) == ["Study", "trapdoor.beta"]


def test_data_are_known_by_the_digest_of_dvc(place):
    """The one of the manifest of this row of `data`; the last one that DVC wrote."""
    outs = "".join(
        f"    - path: data/prepared/{name}\n      hash: md5\n      md5: {digest * 32}\n"
        for name, digest in (
            ("faces_ffhq/manifest.csv", "a"),
            ("faces/manifest.csv", "b"),
            ("faces/private.pt", "c"),
        )
    )
    (place / "dvc.lock").write_text(f"stages:\n  prepare_data@faces:\n    outs:\n{outs}")
    study = collected(place)
    assert study.tags["data.faces.md5"] == "b" * 32
    tags = {record.name: record.tags for record in study.records}
    assert {tags[name]["data.md5"] for name in ("target/none-0", "attack/gmi-none-0")} == {"b" * 32}
    (place / "dvc.lock").unlink()
    assert "data.faces.md5" not in collected(place).tags


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
        checkpointer.earlier = Spent(500.0, 300.0)
        before = datetime.now(UTC)
        with _stage.records(tmp_path, rt, checkpointer):
            pass
    stats = results.read_json(tmp_path / "stats.json")
    started, ended = (datetime.fromisoformat(stats[name]) for name in ("started", "ended"))
    assert (ended - started).total_seconds() == pytest.approx(stats["seconds"], abs=0.0015)
    assert 500 <= stats["seconds"] < 501
    assert 300 <= stats["cpu_seconds"] < 301
    assert before - timedelta(seconds=1) < ended < before + timedelta(seconds=10)


def test_a_missing_result_is_an_error_not_a_warning(place):
    (place / "reports/scores/targets/none-0.json").unlink()
    with pytest.raises(ValueError, match=r"targets/none-0\.json: no such file"):
        collected(place)
