"""MLflow filled from files: once, again, after a deletion, and with nobody answering."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from dataclasses import replace

import pytest

import fake_study
from trapmid import tracking

# MLflow 3 and SQLAlchemy 2.1 disagree about names that both will drop; nothing of ours is meant.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pydantic"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # its engine keeps the file open
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    root = tmp_path / "study"
    root.mkdir()
    fake_study.write(root, seeds=(0,))
    fake_study.write_json(root / "reports" / "metrics.json", {"evaluator": {"test_accuracy": 0.97}})
    (root / "reports" / "report.html").write_text("<p>report</p>", encoding="utf-8")
    (root / "dvc.lock").write_text("schema: '2.0'\n", encoding="utf-8")
    return root


def collected(root):
    return tracking.collect(fake_study.params(seeds=(0,)), root)


def client(home):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{home.resolve()}/mlflow.db")


def runs(home):
    store = client(home)
    experiment = store.get_experiment_by_name(tracking.EXPERIMENT)
    return store.search_runs([experiment.experiment_id], max_results=1000)


def by_row(home, section):
    return {
        run.data.tags["row"]: run for run in runs(home) if run.data.tags.get("section") == section
    }


# One store for what needs many looks at it: creating one takes two seconds.
def test_the_store_through_its_life(place, tmp_path):
    home = tmp_path / "home"
    study = collected(place)
    rows = len(study.records)
    # judge, start, targets, public prior, students, guided priors, cells
    assert rows == 1 + 1 + 3 + 1 + 3 + 6 + 13

    assert tracking.track(study, home) == (rows + 1, 0)
    _check_content(home)

    assert tracking.track(collected(place), home) == (0, rows + 1)  # again: nothing new
    assert len(runs(home)) == rows + 1

    # One retrained target: its run and the study's state are new, the rest is reused.
    scores = place / "reports/scores/targets/trapmid-0.json"
    before = scores.read_text(encoding="utf-8")
    scores.write_text(before.replace("0.94", "0.93"), encoding="utf-8")
    assert tracking.track(collected(place), home) == (2, rows - 1)
    scores.write_text(before, encoding="utf-8")  # as DVC restores it
    assert tracking.track(collected(place), home) == (0, rows + 1)

    _check_unfinished_run_is_filled(place, home)

    store = client(home)  # deleted in the UI: the experiment comes back, not a crash
    store.delete_experiment(store.get_experiment_by_name(tracking.EXPERIMENT).experiment_id)
    assert tracking.track(collected(place), home) is not None

    (home / "mlflow.db").unlink()
    shutil.rmtree(home / "mlartifacts")
    rebuilt = tmp_path / "rebuilt"  # MLflow keeps the deleted file's engine in this process
    assert tracking.track(collected(place), rebuilt) == (rows + 1, 0)
    _check_content(rebuilt)


def _check_content(home):
    store = client(home)
    target = by_row(home, "targets")["trapmid-0"]
    assert target.info.run_name == "trapmid-0"
    assert target.info.status == "FINISHED"
    assert target.data.tags["stage"] == "target"
    assert target.data.tags["defense"] == "trapmid"
    assert target.data.params["trapdoor.beta"] == "0.3"
    assert target.data.params["fit.epochs"] == "8"
    assert target.data.metrics["trapdoor_success"] == 1.0
    assert target.data.metrics["checks.deterministic"] == 1.0
    assert target.data.metrics["cost.seconds"] == 12.5
    assert target.data.metrics["cost.peak_memory_mb"] == 840.0
    curve = store.get_metric_history(target.info.run_id, "curve.val_accuracy")
    assert [point.step for point in curve] == list(range(1, 9))
    assert target.data.metrics["theory.delta"] == -0.25
    assert target.data.metrics["theory.naturalness_classifier"] == 0.125
    assert target.data.metrics["theory.holds"] == 1.0
    assert not any(name.startswith("facts") for name in target.data.metrics)
    pictures = {file.path for file in store.list_artifacts(target.info.run_id, "pictures")}
    assert pictures == {"pictures/triggers.png", "pictures/poisoned.png"}

    attack = by_row(home, "cells")["plgmi-trapmid-0"]
    assert attack.data.tags["attack"] == "plgmi"
    assert attack.data.tags["defense"] == "trapmid"
    assert attack.data.params["attack.steps"] == "40"
    assert attack.data.params["trapdoor.beta"] == "0.3"
    assert attack.data.params["recipe.steps"] == "200"
    assert attack.data.metrics["aa1"] == 0.12
    files = [file.path for file in store.list_artifacts(attack.info.run_id, "pictures")]
    assert files == ["pictures/plgmi-trapmid-0.png"]
    start = by_row(home, "starts")["strangers"]
    assert start.data.tags["stage"] == "start"
    assert start.data.params["fit.epochs"] == "8"
    assert start.data.metrics["curve.val_accuracy"] > 0
    prior = by_row(home, "guided_priors")["plgmi-none-0"]
    assert prior.data.tags["stage"] == "prior"

    (parent,) = (run for run in runs(home) if run.data.tags["stage"] == "study")
    assert parent.data.metrics["evaluator.test_accuracy"] == 0.97
    assert parent.data.params["trapdoor.alpha"] == "0.1"
    assert len(parent.data.tags["dvc.lock.md5"]) == 32
    names = {file.path for file in store.list_artifacts(parent.info.run_id)}
    assert {"report.html", "params.yaml", "dvc.lock", "runs.json", "reconstructions"} <= names
    children = {run.data.tags.get("mlflow.parentRunId") for run in runs(home)} - {None}
    assert children == {parent.info.run_id}
    assert parent.info.artifact_uri.startswith((home.resolve() / "mlartifacts").as_uri())


def _check_unfinished_run_is_filled(place, home):
    """A tracking that was killed half-way leaves a running run; no point of it is doubled."""
    store = client(home)
    target = by_row(home, "targets")["none-0"]
    store.update_run(target.info.run_id, status="RUNNING")
    count = len(runs(home))
    assert tracking.track(collected(place), home).new == 1
    assert len(runs(home)) == count
    again = by_row(home, "targets")["none-0"]
    assert again.info.status == "FINISHED"
    assert len(store.get_metric_history(target.info.run_id, "curve.loss")) == 8


def test_facts_and_curves_of_any_columns(place, tmp_path):
    """What a training guarantees is a number; a curve may have gaps and new names."""
    scores = place / "reports/scores/targets/none-0.json"
    text = scores.read_text(encoding="utf-8")
    scores.write_text(text.replace('"facts": {}', '"facts": {"epsilon": 8.5}'), encoding="utf-8")
    history = place / "reports/training/targets/none-0/history.csv"
    lines = ["step,loss,input_dependence,κ(x)", "1,2.5,,0.5", "2,nan,0.25,", "3,inf,0.125,0.75"]
    history.write_text("\n".join(lines) + "\n", encoding="utf-8")
    home = tmp_path / "home"
    study = collected(place)
    only = tuple(record for record in study.records if record.name == "none-0")
    assert tracking.track(replace(study, records=only), home) == (2, 0)
    run = by_row(home, "targets")["none-0"]
    assert run.data.metrics["facts.epsilon"] == 8.5
    curves = {
        name: [
            (point.step, point.value)
            for point in client(home).get_metric_history(run.info.run_id, f"curve.{name}")
        ]
        for name in ("loss", "input_dependence", "κ_x_")
    }
    assert curves == {
        "loss": [(1, 2.5)],
        "input_dependence": [(2, 0.25), (3, 0.125)],
        "κ_x_": [(1, 0.5), (3, 0.75)],
    }


def test_the_key_is_the_content(place):
    keys = {record.name: record.key for record in collected(place).records}
    stats = place / "reports/training/targets/none-0/stats.json"
    fake_study.write_json(stats, {"seconds": 99.0, "peak_memory_mb": 1.0, "device": "cuda"})
    assert {r.name: r.key for r in collected(place).records} == keys  # time is no result
    changed = fake_study.params(seeds=(0,))
    changed["trapdoor"]["beta"] = 0.1
    now = {r.name: r.key for r in tracking.collect(changed, place).records}
    assert {name for name in keys if now[name] != keys[name]} == {
        "trapmid-0",
        "students-trapmid-0",
        "distil-trapmid-0",
        *(f"{attack}-trapmid-0" for attack in fake_study.AA1),
    }


def test_a_change_of_the_students_reaches_who_asks_them(place):
    keys = {record.name: record.key for record in collected(place).records}
    changed = fake_study.params(seeds=(0,))
    changed["surrogacy"]["students"]["epochs"] = 4
    now = {r.name: r.key for r in tracking.collect(changed, place).records}
    kinds = ("students", "distil", "plgmi_distil")
    assert {name for name in keys if now[name] != keys[name]} == {
        f"{kind}-{defense}-0" for kind in kinds for defense in fake_study.DEFENSES
    }


def test_tags_and_parameters_follow_what_a_cell_names(place):
    study = fake_study.params(seeds=(0,))
    study["leaks"] = {"trapmid-0": {"target": "trapmid-0", "rank": 3}}
    study["signatures"] = {
        "trapmid-0": {"target": "trapmid-0", "leak": "models/leaks/trapmid-0.pt", "top_n": 30}
    }
    cells = study["cells"]
    cells["plgmi-trapmid-0"]["knowledge"] = "models/signatures/trapmid-0.pt"
    cells["gmi-trapmid-0"]["knowledge"] = "models/surrogates/students-trapmid-0/model.pt"
    found = {(r.tags["section"], r.name): r for r in tracking.collect(study, place).records}
    through = found["cells", "plgmi_distil-trapmid-0"]
    assert (through.tags["attack"], through.tags["method"]) == ("plgmi_distil", "plgmi")
    assert through.tags["guide"] == "students"
    assert through.params["guide_surrogacy.epochs"] == "3"
    assert found["guided_priors", "distil-trapmid-0"].tags["guide"] == "students"
    adaptive = found["cells", "plgmi-trapmid-0"]
    assert adaptive.tags["guide"] == "target"
    assert adaptive.params["knowledge.top_n"] == "30" and adaptive.params["leak.rank"] == "3"
    assert found["cells", "gmi-trapmid-0"].params["knowledge_surrogacy.epochs"] == "3"
    assert "guide" not in found["targets", "trapmid-0"].tags


def test_a_missing_result_is_an_error_not_a_warning(place):
    (place / "reports/scores/targets/none-0.json").unlink()
    with pytest.raises(ValueError, match=r"targets/none-0\.json: no such file"):
        collected(place)


def test_nobody_answers(place, tmp_path, monkeypatch, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    _expect_a_quick_warning(place, tmp_path, capsys)


def test_a_server_that_never_answers(place, tmp_path, monkeypatch, capsys):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        _expect_a_quick_warning(place, tmp_path, capsys)


def test_a_broken_store(place, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}/mlruns")  # MLflow 3 refuses it
    _expect_a_quick_warning(place, tmp_path, capsys, seconds=20)


def _expect_a_quick_warning(place, home, capsys, seconds=8):
    study = collected(place)
    start = time.monotonic()
    assert tracking.track(study, home) is None
    assert time.monotonic() - start < seconds
    out = capsys.readouterr().out
    assert out.startswith("track: warning: ")
    assert out.count("\n") == 1


def test_the_lock_lets_one_in_at_a_time(tmp_path):
    order = []

    def second():
        with tracking._locked(tmp_path):
            order.append("second")

    with tracking._locked(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
