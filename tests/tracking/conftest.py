"""A finished study to track, made of files; and a store that holds it already, made once."""

from __future__ import annotations

import shutil

import pytest
from stores import FEW, LOCK, collected, few, write_classifier

import fake_study
from trapmid.tracking.track import track

_VARIABLES = ("MLFLOW_TRACKING_URI", "DVC_EXP_NAME")


@pytest.fixture(autouse=True)
def _no_store_of_the_user(monkeypatch):
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Not to be changed: `place` is a copy of it."""
    root = tmp_path_factory.mktemp("finished") / "study"
    root.mkdir()
    fake_study.write(root, seeds=(0,))
    worst = {"aa1": 0.42, "intervals": {"aa1": fake_study.interval(0.42)}}
    summary = {"evaluator": {"test_accuracy": 0.97}, "worst": {"trapmid": worst}}
    fake_study.write_json(root / "reports" / "metrics.json", summary)
    (root / "reports" / "report.html").write_text("<p>report</p>", encoding="utf-8")
    (root / "dvc.lock").write_text(LOCK, encoding="utf-8")
    write_classifier(root / "models/targets/trapmid-0/model.pt")
    return root


@pytest.fixture
def place(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "study")


@pytest.fixture(scope="session")
def made_home(finished, tmp_path_factory):
    """A store that holds a few rows of the study; not to be changed: `home` is a copy of it."""
    home = tmp_path_factory.mktemp("made") / "home"
    with pytest.MonkeyPatch.context() as patch:
        for name in _VARIABLES:
            patch.delenv(name, raising=False)
        assert track(few(collected(finished)), home) == (len(FEW) + 1, 0)
    return home


@pytest.fixture
def home(made_home, tmp_path):
    return shutil.copytree(made_home, tmp_path / "home")
