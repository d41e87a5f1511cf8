"""What a test looks for in a store of MLflow's."""

from __future__ import annotations

from dataclasses import replace

import fake_study
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
