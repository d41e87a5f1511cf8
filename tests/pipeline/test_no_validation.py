"""A study whose private images are all for training and test, as in the papers."""

from __future__ import annotations

import csv
import io
import json

import pytest
from checkout import Checkout

pytestmark = pytest.mark.slow


def run(study: Checkout, *commands: str) -> None:
    for command in commands:
        assert study.inside(command) is None, command


def test_it_is_trained_and_scored_and_an_epoch_chosen_on_nothing_is_refused(tmp_path) -> None:
    study = Checkout.make(tmp_path / "bare")
    study.edit("params.yaml", "val_fraction: 0.2", "val_fraction: 0")
    run(study, "make_raw toy", "prepare_data toy", "validate_data toy")
    counts = json.loads(study.read("reports/data/toy.json"))[0]["counts"]
    assert (counts["train"], counts["val"], counts["test"]) == (36, 0, 12)

    code, printed = study.stage("train_target targets trapmid-0")
    assert code == 1
    assert printed == (
        "train_target: error: classifier_training.target.select: val, "
        "but data.toy has no validation images "
        "(val_fraction: 0); choose test or last\n"
    )

    text = study.read("params.yaml").decode()
    (study.root / "params.yaml").write_text(text.replace("select: val", "select: test"))
    for section, name in (("evaluators", "evaluator"), ("targets", "trapmid-0")):
        stage = f"evaluate_{section.removesuffix('s')}"
        run(study, f"train_target {section} {name}", f"{stage} {name}")
        scores = json.loads(study.read(f"reports/scores/{section}/{name}.json"))[0]
        assert scores["val_accuracy"] is None
        assert scores["checks"]["checkpoint_verified"] is True
        sound = ("splits_disjoint", "private_public_disjoint")
        assert all(scores["checks"][check] for check in sound if check in scores["checks"])
        curve = study.read(f"reports/training/{section}/{name}/history.csv").decode()
        header = next(csv.reader(io.StringIO(curve)))
        assert "test_accuracy" in header and "val_accuracy" not in header
