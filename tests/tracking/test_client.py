"""MLflow's client: values that it takes, and the file that it opens."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from stores import by_row, client, collected, few

from trapmid.tracking.client import _revisions
from trapmid.tracking.track import track

# MLflow 3 and SQLAlchemy 2.1 disagree about names that both will drop; nothing of ours is meant.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pydantic"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # its engine keeps the file open
]


@pytest.mark.slow
def test_facts_and_curves_of_any_columns(place, home):
    """What a training guarantees is a number; a curve may have gaps and new names."""
    scores = place / "reports/scores/targets/none-0.json"
    text = scores.read_text(encoding="utf-8")
    scores.write_text(text.replace('"facts": {}', '"facts": {"epsilon": 8.5}'), encoding="utf-8")
    history = place / "reports/training/targets/none-0/history.csv"
    lines = ["step,loss,input_dependence,κ(x)", "1,2.5,,0.5", "2,nan,0.25,", "3,inf,0.125,0.75"]
    history.write_text("\n".join(lines) + "\n", encoding="utf-8")
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


@pytest.mark.slow
def test_an_older_store_is_kept_beside_the_new_one(finished, home, capsys):
    """MLflow's own tables, from the revision before the newest."""
    newest, before = _revisions()[:2]
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine

    uri = f"sqlite:///{home}/mlflow.db"
    engine = create_sqlalchemy_engine(uri)
    config = _get_alembic_config(uri)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, before)
    engine.dispose()
    capsys.readouterr()
    assert track(few(collected(finished)), home) == (0, 5)
    out = capsys.readouterr().out
    assert out.startswith("mlflow.db was of an older MLflow") and out.count("\n") == 1
    assert [_revision(home / name) for name in ("mlflow.db", f"mlflow.db.{before}")] == [
        *(newest, before)
    ]


def _revision(file):
    with closing(sqlite3.connect(file)) as store:
        return store.execute("SELECT version_num FROM alembic_version").fetchone()[0]
