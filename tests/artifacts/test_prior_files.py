"""Priors on disk: what is exported as initial weights starts another prior."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from toy import PLGMI
from trapmid import cli, wiring
from trapmid.artifacts import checkpoints, priors
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.runtime import Runtime

RT = Runtime(device=torch.device("cpu"), seed=0, precision="fp32")
BLOCK = PLGMI | {"batch_size": 2, "top_n": 2}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A one-class prior on disk."""
    training = wiring.prior_training("plgmi", BLOCK)
    priors.save(tmp_path / "prior.pt", "plgmi", BLOCK, 8, training.make(8, 1))
    return tmp_path / "prior.pt"


def test_exported_weights_start_every_class_alike(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half precision of the public prior; each class of the guided one draws the same image."""
    file = tmp_path / "weights" / "start.pt"
    assert cli.main(["export", str(saved), str(file)]) == 0
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert capsys.readouterr().out == f"{digest}  {file}\n"
    prior = priors.start(wiring.prior_training("plgmi", BLOCK), 8, 3, file, RT).eval()
    latents, labels = torch.randn(1, BLOCK["latent_dim"]).expand(3, -1), torch.arange(3)
    with torch.no_grad():
        images = prior(latents, labels)
        public = priors.load(saved, RT)(latents, torch.zeros(3, dtype=torch.int64))
    assert torch.allclose(images[0], images[2], atol=1e-6)
    assert torch.allclose(images, public, atol=1e-2)  # float16 keeps three digits


def test_a_start_of_another_shape_is_refused_in_one_line(saved: Path, tmp_path: Path) -> None:
    file = tmp_path / "start.pt"
    priors.export(saved, file)
    wider = wiring.prior_training("plgmi", BLOCK | {"width": 8})
    with pytest.raises(CheckpointError, match=r"start\.pt: init: .*size mismatch") as caught:
        priors.start(wider, 8, 3, file, RT)
    assert "\n" not in str(caught.value)


def test_a_prior_that_diverged_is_neither_saved_exported_nor_loaded(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prior, path = priors.load(saved, RT), tmp_path / "new" / "prior.pt"
    content, words = checkpoints.load(saved), r"prior\.pt: [\w.]+ is not finite"
    for value in (torch.nan, torch.inf):
        next(prior.parameters()).fill_(value)
        with pytest.raises(CheckpointError, match=words):
            priors.save(path, "plgmi", BLOCK, 8, prior)
        assert not path.exists()
        checkpoints.save(saved, content | {"state": prior.state_dict()})
        with pytest.raises(CheckpointError, match=words):
            priors.load(saved, RT)
    next(prior.parameters()).fill_(1e5)  # in single precision a number, in half precision infinity
    checkpoints.save(saved, content | {"state": prior.state_dict()})
    assert cli.main(["export", str(saved), str(tmp_path / "half.pt")]) == 2
    error = capsys.readouterr().err
    assert "half.pt: " in error and "is not finite" in error and error.count("\n") == 1
    assert not (tmp_path / "half.pt").exists()
