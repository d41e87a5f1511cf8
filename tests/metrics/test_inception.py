"""Inception features with a stand-in TorchScript file of clean-fid's interface."""

from __future__ import annotations

import urllib.request
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from cleanfid.resize import build_resizer
from torch import nn

from trapmid.metrics.inception import WEIGHTS, inception_features
from trapmid.runtime import Runtime

RT = Runtime(device=torch.device("cpu"), seed=0, precision="fp32")


class Layers(nn.Module):
    """2048 numbers that depend on the normalised 299-pixel input."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        means = images.mean(dim=(2, 3))  # (N, 3)
        return torch.cat([means, images[:, :, 5, 7], torch.zeros(len(images), 2042)], dim=1)


class StandIn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = Layers()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit")
        torch.jit.script(StandIn()).save(str(tmp_path / WEIGHTS))
    return tmp_path


def test_features_are_those_of_clean_fid(folder: Path) -> None:
    images = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8)
    found = inception_features(images, weights=folder / WEIGHTS, batch_size=2, rt=RT)
    assert found.shape == (5, 2048)
    resize = build_resizer("clean")
    for image, row in zip(images, found, strict=True):
        large = resize(image.permute(1, 2, 0).numpy())  # (299, 299, 3) in [0, 255]
        scaled = (large - 128) / 128
        expected = np.concatenate([scaled.mean(axis=(0, 1)), scaled[5, 7]])
        np.testing.assert_allclose(row[:6].numpy(), expected, rtol=1e-4, atol=1e-5)


def test_float_images_count_as_stored_in_8_bits(folder: Path) -> None:
    images = torch.rand(3, 3, 16, 16) * 1.2 - 0.1
    stored = (images.clamp(0, 1) * 255).round().to(torch.uint8)
    a = inception_features(images, weights=folder / WEIGHTS, batch_size=3, rt=RT)
    b = inception_features(stored, weights=folder / WEIGHTS, batch_size=1, rt=RT)
    torch.testing.assert_close(a, b)


def test_missing_weights_are_never_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("tried to download")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(FileNotFoundError, match=r"evaluation\.inception_weights: no .*2015-12-05"):
        inception_features(torch.zeros(1, 3, 8, 8), weights=tmp_path / WEIGHTS, batch_size=1, rt=RT)


def test_a_page_that_a_download_got_instead_is_named(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS).write_text("<!DOCTYPE html><p>Moved</p>")
    with pytest.raises(ValueError, match=r"2015-12-05\.pt: must be .*, is a web page; fetch it"):
        inception_features(torch.zeros(1, 3, 8, 8), weights=tmp_path / WEIGHTS, batch_size=1, rt=RT)
