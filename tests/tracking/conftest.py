"""A finished study to track, made of files."""

from __future__ import annotations

import pytest

import fake_study


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    root = tmp_path / "study"
    root.mkdir()
    fake_study.write(root, seeds=(0,))
    summary = {"evaluator": {"test_accuracy": 0.97}, "worst": {"trapmid": {"aa1": 0.42}}}
    fake_study.write_json(root / "reports" / "metrics.json", summary)
    (root / "reports" / "report.html").write_text("<p>report</p>", encoding="utf-8")
    (root / "dvc.lock").write_text("schema: '2.0'\n", encoding="utf-8")
    return root
