"""A target that starts from what a recogniser taught, from the profile to its weights."""

from __future__ import annotations

import csv
import io
import json

import pytest
import torch
from checkout import Checkout
from torch import Tensor

from trapmid.artifacts import checkpoints
from trapmid.nets import dlib_resnet

PROFILE = """
base: toy
classifier_training:
  people: {epochs: 2, batch_size: 8, optimizer: sgd, lr: 0.05, momentum: 0.9, weight_decay: 0.0,
    milestones: [], decay: 0.1, flip: true, select: last, precision: fp32, keep_every: 1}
pretrained:
  start: {data: toy, arch: small_vgg, training: people, block: none_aug, teacher: dlib, seed: 0}
targets:
  none: {init: models/pretrained/start/model.pt}
"""


class Recogniser:
    """Stands for dlib's, which is an extra: the means of 128 parts of an image."""

    def __call__(self, images: Tensor) -> Tensor:
        return images.flatten(1).unfold(1, 6, 6)[:, :128].mean(dim=2)


@pytest.mark.slow
def test_a_start_is_taught_and_a_target_begins_with_it(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Checkout.make(tmp_path / "taught")
    (study.root / "profiles" / "taught.yaml").write_text(PROFILE, encoding="utf-8")
    study.choose("taught")
    assert study.trapmid("check")[0] == 0
    with study.dvc_inside() as repo:
        (stage,) = repo.stage.collect("pretrain@start")
        read = {one.def_path for one in stage.deps}
    assert read - {"params.yaml"} == {
        *("digests/stages/train_target", "digests/targets/small_vgg", "digests/defenses/none"),
        *("data/prepared/toy/private.pt", "data/prepared/toy/public.pt"),
        *("reports/data/toy.json", "weights/random"),
    }
    monkeypatch.setattr(dlib_resnet, "Recogniser", Recogniser)
    for command in (
        "make_raw toy",
        "prepare_data toy",
        "validate_data toy",
        "train_target pretrained start",
        "train_target targets none-0",
    ):
        assert study.inside(command) is None, command
    curve = study.read("reports/training/pretrained/start/history.csv").decode()
    rows = list(csv.DictReader(io.StringIO(curve)))
    assert [row["step"] for row in rows] == ["1", "2"]
    stats = json.loads(study.read("reports/training/pretrained/start/stats.json"))
    assert stats["explained"] == pytest.approx(float(rows[-1]["explained"]), rel=1e-4)
    start, target = (
        checkpoints.load(study.root / f"models/{place}/model.pt")
        for place in ("pretrained/start", "targets/none-0")
    )
    assert start["meta"]["teacher"] == "dlib" and start["num_classes"] == 128
    assert target["meta"]["init"] == "models/pretrained/start/model.pt"
    weight = "blocks.0.0.weight"
    moved = (start["state"][weight] - target["state"][weight]).norm()
    assert 0 < moved < torch.linalg.norm(start["state"][weight])
