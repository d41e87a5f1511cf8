"""scikit-learn's digits as files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from trapmid.data.digits import Maker, Reader
from trapmid.data.listing import DataError


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw") / "digits"
    Maker(scale=2).make(folder, lambda line: None)
    return folder


def test_files_hold_scikit_learns_digits(digits: Path) -> None:
    source = load_digits()
    entries = Reader().entries(digits)
    assert [entry.identity for entry in entries] == source.target.tolist()
    for index in (0, 7, 1796):
        image = np.asarray(Image.open(entries[index].file), dtype=float)  # (16, 16)
        assert np.abs(image[::2, 1::2] - source.images[index] * 255 / 16).max() <= 0.5
    assert list(digits.parent.iterdir()) == [digits]  # no partial folder stays


def test_a_digit_has_three_equal_channels(digits: Path) -> None:
    image = Reader().load(digits / "images" / "00003.png", 32)
    assert image.shape == (3, 32, 32)
    assert image.dtype == torch.uint8
    assert torch.equal(image[0], image[1])
    assert torch.equal(image[0], image[2])


def test_enough_images_of_every_digit(digits: Path) -> None:
    counts = Counter(entry.identity for entry in Reader().entries(digits))
    assert sorted(counts) == list(range(10))
    assert min(counts.values()) >= 170


def test_a_wrong_label_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("00000.png 3\n00001.png 10\n")
    with pytest.raises(DataError, match=r"00001\.png is labelled 10.*labels\.txt:2"):
        Reader().entries(tmp_path)


def test_a_full_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(FileExistsError, match="not empty"):
        Maker(scale=1).make(tmp_path, lambda line: None)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        Maker(scale=1).make(tmp_path / "digits", lambda line: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scale", [0, 65])
def test_scale_is_bounded(scale: int) -> None:
    with pytest.raises(ValueError, match=f"scale: {scale} is outside"):
        Maker(scale=scale)
