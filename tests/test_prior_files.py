"""Priors on disk: what is exported as initial weights starts another prior."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch

from trapmid import cli, prior_files, wiring
from trapmid.checkpoints import CheckpointError
from trapmid.runtime import Runtime

RT = Runtime(device=torch.device("cpu"), seed=0, precision="fp32")
BLOCK: dict[str, Any] = {
    "latent_dim": 4,
    "width": 4,
    "top_n": 2,
    "steps": 1,
    "critic_steps": 1,
    "batch_size": 2,
    "lr_generator": 0.1,
    "lr_critic": 0.1,
    "betas": [0.0, 0.9],
    "alpha": 0.2,
    "identity_loss": "margin",
    "noise": 0.0,
    "view": {
        "scale": 0.8,
        "jitter": 0.2,
        "jitter_probability": 0.5,
        "flip": 0.5,
        "rotation": 0.5,
        "degrees": 5.0,
    },
    "anchor": None,
    "ema": 0.0,
    "precision": "fp32",
    "keep_every": 1,
}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A one-class prior on disk."""
    recipe = wiring.recipe("plgmi", BLOCK)
    prior_files.save(tmp_path / "prior.pt", "plgmi", BLOCK, 8, recipe.make(8, 1))
    return tmp_path / "prior.pt"


def test_exported_weights_start_every_class_alike(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half precision of the public prior; each class of the guided one draws the same image."""
    file = tmp_path / "weights" / "start.pt"
    assert cli.main(["export", str(saved), str(file)]) == 0
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert capsys.readouterr().out == f"{digest}  {file}\n"
    prior = prior_files.start(wiring.recipe("plgmi", BLOCK), 8, 3, file, RT).eval()
    latents, labels = torch.randn(1, 4).expand(3, 4), torch.arange(3)
    with torch.no_grad():
        images = prior(latents, labels)
        public = prior_files.load(saved, RT)(latents, torch.zeros(3, dtype=torch.int64))
    assert torch.allclose(images[0], images[2], atol=1e-6)
    assert torch.allclose(images, public, atol=1e-2)  # float16 keeps three digits


def test_a_start_of_another_shape_is_refused_in_one_line(saved: Path, tmp_path: Path) -> None:
    file = tmp_path / "start.pt"
    prior_files.export(saved, file)
    wider = wiring.recipe("plgmi", BLOCK | {"width": 8})
    with pytest.raises(CheckpointError, match=r"start\.pt: init: .*size mismatch") as caught:
        prior_files.start(wider, 8, 3, file, RT)
    assert "\n" not in str(caught.value)
