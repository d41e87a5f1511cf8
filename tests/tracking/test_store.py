"""MLflow filled from files: once, again, and after a deletion."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from stores import FEW, LOCK, by_row, children, client, collected, few, files, runs, studies

import fake_study
from trapmid.tracking.models import Model
from trapmid.tracking.records import collect
from trapmid.tracking.store import EXPERIMENT, Store
from trapmid.tracking.track import track

# MLflow 3 and SQLAlchemy 2.1 disagree about names that both will drop; nothing of ours is meant.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pydantic"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # its engine keeps the file open
]


def test_what_the_store_holds_of_a_study(made_home):
    names = sorted(path.name for path in made_home.iterdir())
    assert names == [".mlflow.lock", "mlartifacts", "mlflow.db"]
    _check_content(made_home)


def test_a_known_study_is_not_tracked_twice(place, home):
    study = few(collected(place))
    before = {run.info.run_id for run in runs(home)}
    assert track(study, home) == (0, 5)
    assert {run.info.run_id for run in runs(home)} == before

    # One retrained target: another study, which holds every row of its own; the first one, too.
    scores = place / "reports/scores/targets/trapmid-0.json"
    text = scores.read_text(encoding="utf-8")
    scores.write_text(text.replace("0.94", "0.93"), encoding="utf-8")
    assert track(few(collected(place)), home) == (5, 0)
    for parent in studies(home):
        assert sorted(run.info.run_name for run in children(home, parent)) == sorted(FEW)
    scores.write_text(text, encoding="utf-8")  # as DVC restores it
    assert track(few(collected(place)), home) == (0, 5)


@pytest.mark.slow
def test_a_model_is_a_link_and_comes_back(place, tmp_path):
    """On one file system it takes no space; a run that lost it is made anew."""
    study, home = few(collected(place)), tmp_path / "new"
    assert track(study, home) == (5, 0)
    model = _folder(home, by_row(home, "targets")["trapmid-0"]) / "model"
    assert (model / "model.pt").samefile(place / "models/targets/trapmid-0/model.pt")
    shutil.rmtree(model)
    assert track(study, home) == (1, 4)
    assert files(home, by_row(home, "targets")["trapmid-0"], "model") == {"MLmodel", "model.pt"}


@pytest.mark.parametrize(
    ("remote", "size", "takes"), [(True, 4, True), (True, 5, False), (False, 5, True)]
)
def test_a_server_is_sent_no_large_model(tmp_path, remote, size, takes):
    model = Model(file=tmp_path / "model.pt", image_size=32, classes=20)
    model.file.write_bytes(bytes(size * 2**20))
    store = Store.__new__(Store)
    store._remote = remote
    assert store._takes(model) == takes and not store._takes(None)


@pytest.mark.slow
def test_a_run_of_a_version_that_named_no_data_is_made_anew(place, home, tmp_path):
    old = few(collected(place))
    old = replace(old, records=tuple(replace(one, data=()) for one in old.records))
    assert track(old, tmp_path / "old") == (5, 0)
    assert track(few(collected(place)), tmp_path / "old") == (4, 1)


def _whole(home):
    """Holds that the newest study has each row once, whole; returns its parent and its runs."""
    parent = studies(home)[0]
    rows = children(home, parent)
    assert sorted(run.info.run_name for run in rows) == sorted(FEW)
    assert len(runs(home)) == len(rows) + 1  # no run of a row is left beside it
    for run in (parent, *rows):
        assert run.info.status == "FINISHED"
    by_name = {run.info.run_name: run for run in rows}
    assert files(home, by_name["target/trapmid-0"], "pictures") == {"triggers.png", "poisoned.png"}
    assert len(files(home, by_name["target/trapmid-0"], "images")) == 4  # images and previews
    assert len(files(home, by_name["attack/plgmi-trapmid-0"], "images")) == 2
    known = json.loads((_folder(home, parent) / "runs.json").read_text(encoding="utf-8"))
    assert known == {name: run.info.run_id for name, run in by_name.items()}
    assert files(home, parent, "reconstructions") == {"plgmi-trapmid-0.png"}
    return parent, by_name


def _folder(home, run):
    return home / "mlartifacts" / run.info.artifact_uri.removeprefix("mlflow-artifacts:/")


def test_a_half_filled_run_is_filled_once(place, home):
    """A tracking that was killed half-way leaves running runs; nothing of them is doubled."""
    parent, rows = _whole(home)
    for run in (parent, rows["target/trapmid-0"]):
        client(home).update_run(run.info.run_id, status="RUNNING")
    assert track(few(collected(place)), home).new == 2
    again, rows = _whole(home)
    assert again.info.run_id == parent.info.run_id
    target = rows["target/trapmid-0"]
    assert len(client(home).get_metric_history(target.info.run_id, "curve.loss")) == 8


@pytest.mark.slow
def test_a_deleted_study_comes_back_with_its_rows(place, home):
    """Those of the deleted parent stay in MLflow's list, so they go when the new ones come."""
    parent, _ = _whole(home)
    client(home).delete_run(parent.info.run_id)
    assert track(few(collected(place)), home) == (5, 0)
    assert _whole(home)[0].info.run_id != parent.info.run_id
    client(home).restore_run(parent.info.run_id)
    track(few(collected(place)), home)
    _whole(home)


def test_a_deleted_row_comes_back_and_restored_it_is_there_once(place, home):
    parent, rows = _whole(home)
    deleted = rows["prior/plgmi-none-0"].info.run_id
    client(home).delete_run(deleted)
    assert track(few(collected(place)), home) == (1, 4)
    again, _ = _whole(home)
    assert again.info.end_time == parent.info.end_time  # it is no newer study
    client(home).restore_run(deleted)
    assert track(few(collected(place)), home).new == 0
    _whole(home)


@pytest.mark.slow
def test_a_deleted_experiment_leaves_what_was_thrown_away(place, home):
    store = client(home)
    _, rows = _whole(home)
    store.delete_run(rows["prior/plgmi-none-0"].info.run_id)
    assert track(few(collected(place)), home) == (1, 4)  # two runs of the row, one of them deleted
    store.delete_experiment(store.get_experiment_by_name(EXPERIMENT).experiment_id)
    assert track(few(collected(place)), home) == (5, 0)
    _whole(home)


@pytest.mark.parametrize("lost", ["pictures", pytest.param("images", marks=pytest.mark.slow)])
def test_lost_pictures_come_back(place, home, lost):
    parent, rows = _whole(home)
    shutil.rmtree(_folder(home, rows["attack/plgmi-trapmid-0"]) / lost)
    assert track(few(collected(place)), home) == (1, 4)
    assert _whole(home)[0].info.run_id == parent.info.run_id
    shutil.rmtree(home / "mlartifacts")
    assert track(few(collected(place)), home) == (3, 2)
    again, _ = _whole(home)
    assert {"report.html", "params.yaml", "dvc.lock"} <= files(home, again)


def test_rows_have_the_profile_of_their_study(place, home):
    """The same rows in two profiles are two studies: no run is shared."""
    params = fake_study.params(seeds=(0,)) | {"profile": "another"}
    assert track(few(collect(params, place)), home) == (5, 0)
    parent = studies(home)[0]
    for run in (parent, *children(home, parent)):
        assert run.data.tags["profile"] == "another"
    assert track(few(collected(place)), home) == (0, 5)
    assert {run.data.tags["profile"] for run in children(home, studies(home)[1])} == {"fake"}


def test_a_folder_whose_name_has_signs_of_addresses(place, home, tmp_path, monkeypatch):
    """The project in it is tracked from within, as DVC does; a path names nothing beside it."""
    odd = home.rename(tmp_path / "what? 100%20 sure")
    monkeypatch.chdir(odd)
    beside = sorted(tmp_path.iterdir())
    assert track(few(collected(place)), Path()) == (0, 5)
    names = sorted(path.name for path in odd.iterdir())
    assert names == [".mlflow.lock", "mlartifacts", "mlflow.db"]
    assert sorted(tmp_path.iterdir()) == beside


def test_checkouts_that_share_a_database_share_its_pictures(place, home, tmp_path, monkeypatch):
    """Or each would throw the other's runs away, for want of their pictures."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
    another = tmp_path / "another checkout"
    assert track(few(collected(place)), another) == (0, 5)
    assert not another.exists()


def _check_content(home):
    store = client(home)
    target = by_row(home, "targets")["trapmid-0"]
    assert target.info.run_name == "target/trapmid-0"
    assert target.info.status == "FINISHED"
    # When it was trained, not when it was tracked.
    assert target.info.start_time == 1772352000000
    assert target.info.end_time - target.info.start_time == 12500
    assert target.data.tags["stage"] == "target"
    assert target.data.tags["defense"] == "trapmid"
    assert target.data.params["trapdoor.beta"] == "0.3"
    assert target.data.params["training.epochs"] == "8"
    assert target.data.metrics["Main/trapdoor_success"] == 1.0
    assert target.data.metrics["checks.deterministic"] == 1.0
    assert target.data.metrics["cost.seconds"] == 12.5
    assert target.data.metrics["cost.peak_memory_mb"] == 840.0
    curve = store.get_metric_history(target.info.run_id, "curve.val_accuracy")
    assert [point.step for point in curve] == list(range(1, 9))
    assert target.data.metrics["theory.delta"] == -0.25
    assert target.data.metrics["theory.naturalness_classifier"] == 0.125
    assert target.data.metrics["theory.holds"] == 1.0
    assert not any(name.startswith("facts") for name in target.data.metrics)
    assert files(home, target, "pictures") == {"triggers.png", "poisoned.png"}
    assert len(files(home, target, "images")) == 4  # two images and their previews

    assert target.data.tags["model.md5"] == "fedcba9876543210fedcba9876543210"
    assert target.data.metrics["test_accuracy.low"] == 0.87
    assert files(home, target, "model") == {"MLmodel", "model.pt"}
    (used,) = target.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("faces", "0123456789abcdef" * 2)
    assert json.loads(used.dataset.source) == {"uri": "data/prepared/faces"}
    assert json.loads(used.dataset.profile)["identities"] == 20
    assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "training")]

    attack = by_row(home, "attack_runs")["plgmi-trapmid-0"]
    (used,) = attack.inputs.dataset_inputs
    assert [tag.value for tag in used.tags] == ["attack"]
    assert attack.data.tags["judges"] == "verifier identity"
    assert attack.data.tags["evaluator"] == "evaluator"
    assert attack.data.tags["dvc.lock.md5"] == hashlib.md5(LOCK.encode()).hexdigest()
    # 12 hits: the verifier accepts 6, the reader is right about 4, and all agree on 3.
    assert attack.data.metrics["Main/agree"] == 0.03
    assert attack.data.metrics["Main/verifier"] == 0.06
    assert attack.data.metrics["Main/identity"] == 0.04
    assert attack.data.metrics["judges.disagreement.verifier.false_positives"] == 6
    assert attack.data.metrics["Traits/judges.identity.attributes.Male.others"] == 0.5
    assert attack.data.metrics["aa1.low"] == 0.07
    assert attack.data.metrics["aa1.high"] == 0.17
    assert attack.data.metrics["paper.aa1"] == 0.11
    assert attack.data.metrics["fidelity.kid"] == 0.25
    assert not any("intervals" in name for name in attack.data.metrics)
    assert attack.info.run_name == "attack/plgmi-trapmid-0"
    assert attack.data.tags["attack"] == "plgmi"
    assert attack.data.tags["defense"] == "trapmid"
    assert attack.data.params["attack.steps"] == "40"
    assert attack.data.params["trapdoor.beta"] == "0.3"
    assert attack.data.params["prior_training.steps"] == "200"
    assert attack.data.metrics["Main/aa1"] == 0.12
    assert files(home, attack, "pictures") == {"plgmi-trapmid-0.png"}
    start = by_row(home, "pretrained")["strangers"]
    assert start.data.tags["stage"] == "pretrained"
    assert start.data.params["training.epochs"] == "8"
    assert start.data.metrics["curve.val_accuracy"] > 0
    prior = by_row(home, "guided_priors")["plgmi-none-0"]
    assert prior.info.run_name == "prior/plgmi-none-0"

    (parent,) = studies(home)
    assert parent.info.start_time == 1772352000000
    assert parent.data.metrics["evaluator.test_accuracy"] == 0.97
    assert parent.data.metrics["Main/worst_aa1.trapmid"] == 0.42
    assert parent.data.metrics["Main/worst_aa1.trapmid.low"] == 0.37
    # The attack through a student has 42 hits; a quarter of a row's hits please all judges.
    assert parent.data.metrics["Main/worst_agree.trapmid"] == 0.105
    assert parent.data.tags["judges"] == "verifier identity"
    assert parent.data.params["trapdoor.alpha"] == "0.1"
    assert len(parent.data.tags["dvc.lock.md5"]) == 32
    names = files(home, parent)
    assert {"report.html", "params.yaml", "dvc.lock", "runs.json", "reconstructions"} <= names
    assert len(children(home, parent)) == len(runs(home)) - 1
    experiment = store.get_experiment_by_name(EXPERIMENT)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


@pytest.mark.slow
def test_a_study_that_moves(place, home, tmp_path, monkeypatch):
    """An experiment of DVC gives its name, and no path is kept."""
    kept = len(list((home / "mlartifacts/content").iterdir()))
    changed = fake_study.params(seeds=(0,))
    changed["trapdoor"]["beta"] = 0.1
    monkeypatch.setenv("DVC_EXP_NAME", "gamer-puck")
    assert track(few(collect(changed, place)), home) == (5, 0)
    newest = studies(home)[0]
    assert newest.info.run_name == "gamer-puck"
    rows = children(home, newest)
    assert {run.data.params["Study"] for run in rows} == {"gamer-puck"}
    assert {run.data.tags["DVC_EXP_NAME"] for run in rows} == {"gamer-puck"}

    # Of the second study only runs.json is another file: it names other runs.
    assert len(list((home / "mlartifacts/content").iterdir())) == kept + 1

    assert str(tmp_path).encode() not in (home / "mlflow.db").read_bytes()
    moved = shutil.copytree(home, tmp_path / "moved")
    shutil.rmtree(home)
    assert track(few(collect(changed, place)), moved) == (0, 5)
    changed["trapdoor"]["beta"] = 0.2
    assert track(few(collect(changed, place)), moved).new == 5
    for study in studies(moved):
        for run in children(moved, study):
            if run.data.tags["stage"] == "attack":
                assert files(moved, run, "pictures")
    assert not home.exists()


def test_a_store_of_absolute_paths_is_begun_anew_and_every_run_has_the_commit(place, home):
    git = ["git", "-C", str(place), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "begin"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    store = client(home)
    (before,) = (e for e in store.search_experiments() if e.name == EXPERIMENT)
    store.rename_experiment(before.experiment_id, "another")
    old = store.create_experiment(EXPERIMENT, artifact_location=home.as_uri())
    study = collected(place)
    assert track(replace(study, records=study.records[:2]), home) == (3, 0)
    assert store.get_experiment(old).name == f"trapmid (before, {old})"
    assert store.get_experiment_by_name(EXPERIMENT).experiment_id != old
    commits = {run.data.tags["mlflow.source.git.commit"] for run in runs(home)}
    assert commits == {head.stdout.strip()}
