"""MLflow filled from files: once, again, and after a deletion."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from dataclasses import replace

import pytest
from stores import by_row, children, client, collected, files, runs, studies

import fake_study
from trapmid.tracking.records import collect
from trapmid.tracking.store import EXPERIMENT
from trapmid.tracking.track import track

# MLflow 3 and SQLAlchemy 2.1 disagree about names that both will drop; nothing of ours is meant.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pydantic"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # its engine keeps the file open
]


# One store for what needs many looks at it: creating one takes two seconds.
def test_the_store_through_its_life(place, tmp_path):
    home = tmp_path / "home"
    study = collected(place)
    rows = len(study.records)
    # evaluator, pretrained, targets, public prior, students, guided priors, attack runs
    assert rows == 1 + 1 + 3 + 1 + 3 + 6 + 13

    assert track(study, home) == (rows + 1, 0)
    _check_content(home)

    assert track(collected(place), home) == (0, rows + 1)  # again: nothing new
    assert len(runs(home)) == rows + 1

    # One retrained target: another study, which holds every row of its own; the first one, too.
    scores = place / "reports/scores/targets/trapmid-0.json"
    before = scores.read_text(encoding="utf-8")
    scores.write_text(before.replace("0.94", "0.93"), encoding="utf-8")
    assert track(collected(place), home) == (rows + 1, 0)
    names = {record.name for record in study.records}
    assert len(names) == rows
    for parent in studies(home):
        assert {run.info.run_name for run in children(home, parent)} == names
    scores.write_text(before, encoding="utf-8")  # as DVC restores it
    assert track(collected(place), home) == (0, rows + 1)

    _check_unfinished_run_is_filled(place, home)

    store = client(home)  # deleted in the UI: the experiment comes back, not a crash
    store.delete_experiment(store.get_experiment_by_name(EXPERIMENT).experiment_id)
    assert track(collected(place), home) is not None

    (home / "mlflow.db").unlink()
    shutil.rmtree(home / "mlartifacts")
    rebuilt = tmp_path / "rebuilt"  # MLflow keeps the deleted file's engine in this process
    assert track(collected(place), rebuilt) == (rows + 1, 0)
    _check_content(rebuilt)


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

    attack = by_row(home, "attack_runs")["plgmi-trapmid-0"]
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
    assert parent.data.params["trapdoor.alpha"] == "0.1"
    assert len(parent.data.tags["dvc.lock.md5"]) == 32
    names = files(home, parent)
    assert {"report.html", "params.yaml", "dvc.lock", "runs.json", "reconstructions"} <= names
    assert len(children(home, parent)) == len(runs(home)) - 1
    experiment = store.get_experiment_by_name(EXPERIMENT)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def _check_unfinished_run_is_filled(place, home):
    """A tracking that was killed half-way leaves running runs; no point of them is doubled."""
    store = client(home)
    parent = next(run for run in studies(home) if "none-0" in by_row(home, "targets"))
    target = by_row(home, "targets")["trapmid-0"]
    for run in (parent, target):
        store.update_run(run.info.run_id, status="RUNNING")
    count = len(runs(home))
    scores = place / "reports/scores/targets/trapmid-0.json"
    before = scores.read_text(encoding="utf-8")
    scores.write_text(before.replace("0.94", "0.93"), encoding="utf-8")  # the newest study
    assert track(collected(place), home).new == 2
    scores.write_text(before, encoding="utf-8")
    assert len(runs(home)) == count
    again = store.get_run(target.info.run_id)
    assert again.info.status == "FINISHED"
    assert len(store.get_metric_history(target.info.run_id, "curve.loss")) == 8
    assert len(files(home, again, "images")) == 4


def _axes(found):
    """What MLflow's compare page draws by default: the first three parameters that differ."""
    names = sorted({name for run in found for name in run.data.params})
    return [name for name in names if len({run.data.params.get(name) for run in found}) > 1][:3]


def test_a_study_that_moves(place, tmp_path, monkeypatch):
    """An experiment of DVC gives its name; no path is kept; every pair of rows can be compared."""
    home = tmp_path / "first home"
    track(collected(place), home)
    kept = len(list((home / "mlartifacts/content").iterdir()))
    changed = fake_study.params(seeds=(0,))
    changed["trapdoor"]["beta"] = 0.1
    monkeypatch.setenv("DVC_EXP_NAME", "gamer-puck")
    assert track(collect(changed, place), home) is not None
    newest, older = studies(home)
    assert newest.info.run_name == "gamer-puck"
    assert _axes([newest, older]) == ["Study", "trapdoor.beta"]
    rows = children(home, newest)
    assert {run.data.params["Study"] for run in rows} == {"gamer-puck"}
    assert {run.data.tags["DVC_EXP_NAME"] for run in rows} == {"gamer-puck"}
    for one, other in itertools.combinations(rows, 2):
        axes = _axes([one, other])
        shared = one.data.params.keys() & other.data.params.keys()
        assert len(axes) == 3 and shared.issuperset(axes), (one.info.run_name, other.info.run_name)
    pair = [
        next(run for run in children(home, study) if run.info.run_name == "attack/gmi-trapmid-0")
        for study in (newest, older)
    ]
    assert _axes(pair) == ["Study", "trapdoor.beta"]

    # Of the second study only runs.json is another file: it names other runs.
    assert len(list((home / "mlartifacts/content").iterdir())) == kept + 1

    assert str(tmp_path).encode() not in (home / "mlflow.db").read_bytes()
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    shutil.rmtree(home / "mlartifacts")
    assert track(collect(changed, place), copy).new == 0
    changed["trapdoor"]["beta"] = 0.2
    assert track(collect(changed, place), copy).new > 0
    for study in studies(copy):
        for run in children(copy, study):
            if run.data.tags["stage"] == "attack":
                assert files(copy, run, "pictures")
    assert not (home / "mlartifacts").exists()


def test_a_store_of_absolute_paths_is_begun_anew_and_every_run_has_the_commit(place, tmp_path):
    git = ["git", "-C", str(place), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "begin"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    home = tmp_path / "home"
    home.mkdir()
    store = client(home)
    old = store.create_experiment(EXPERIMENT, artifact_location=home.as_uri())
    study = collected(place)
    assert track(replace(study, records=study.records[:2]), home) == (3, 0)
    assert store.get_experiment(old).name == f"trapmid (before, {old})"
    assert store.get_experiment_by_name(EXPERIMENT).experiment_id != old
    commits = {run.data.tags["mlflow.source.git.commit"] for run in runs(home)}
    assert commits == {head.stdout.strip()}


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
    only = tuple(record for record in study.records if record.name == "target/none-0")
    assert track(replace(study, records=only), home) == (2, 0)
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
