"""What a test looks for in a store of MLflow's."""

from __future__ import annotations

from dataclasses import replace

import fake_study
from toy import BLOCKS, PEOPLE, Memory, plan, private, runtime
from trapmid import wiring
from trapmid.artifacts import classifiers
from trapmid.config.study import TargetRow
from trapmid.tracking.records import collect
from trapmid.tracking.store import EXPERIMENT


def collected(root):
    return collect(fake_study.params(seeds=(0,)), root)


FEW = (
    *("target/trapmid-0", "pretrained/strangers", "prior/plgmi-none-0"),
    "attack/plgmi-trapmid-0",
)


def few(study):
    """The study with a few of its rows: a row takes a fifth of a second to track."""
    return replace(study, records=tuple(r for r in study.records if r.name in FEW))


LOCK = """schema: '2.0'
stages:
  prepare_data@faces:
    outs:
    - path: data/prepared/faces/manifest.csv
      hash: md5
      md5: 0123456789abcdef0123456789abcdef
      size: 9
  train_target@trapmid-0:
    outs:
    - path: models/targets/trapmid-0/model.pt
      hash: md5
      md5: fedcba9876543210fedcba9876543210
      size: 9
"""
"""What DVC writes of the study's data and of its one model."""


def write_classifier(path):
    """A target of the people of the study, hardly trained."""
    init = path.parent / "random"
    path.parent.mkdir(parents=True)
    init.write_text("random\n", encoding="utf-8")
    row = TargetRow(
        data="faces",
        arch="small_vgg",
        defense="none",
        method="none",
        block="none",
        training="target",
        init=str(init),
        seed=0,
    )
    defense = wiring.defense(*BLOCKS["none"], "none")
    people = private(20, 32)
    trained = classifiers.train(row, plan(epochs=1), defense, people, runtime(), Memory())
    classifiers.save(path, "trapmid-0", row, trained, 32, PEOPLE)


def client(home):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{home.resolve()}/mlflow.db")


def runs(home):
    store = client(home)
    experiment = store.get_experiment_by_name(EXPERIMENT)
    return store.search_runs([experiment.experiment_id], max_results=1000)


def studies(home):
    """The parents, the newest first."""
    found = [run for run in runs(home) if run.data.tags["stage"] == "study"]
    return sorted(found, key=lambda run: -run.info.end_time)


def children(home, parent):
    """The runs of one study."""
    return [
        run for run in runs(home) if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
    ]


def by_row(home, section):
    """The runs of the newest study, by row."""
    return {
        run.data.tags["row"]: run
        for run in children(home, studies(home)[0])
        if run.data.tags["section"] == section
    }


def files(home, run, folder=""):
    """What the server would list: names under a folder of the run's artifacts."""
    uri = run.info.artifact_uri
    assert uri.startswith("mlflow-artifacts:/trapmid/")
    place = home / "mlartifacts" / uri.removeprefix("mlflow-artifacts:/") / folder
    return {path.name for path in place.iterdir()}
