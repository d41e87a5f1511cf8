"""Grids show each pixel as it is, in its place, with the right frame."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from trapmid.report import comparison, pictures
from trapmid.report.frames import HIT, MISS
from trapmid.report.pictures import image_grid, private_vs_reconstructed


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def count(png: bytes, colour: tuple[float, ...]) -> int:
    wanted = np.round(np.array(colour) * 255).astype(int)
    return int((np.abs(pixels(png).astype(int) - wanted).max(axis=2) <= 1).sum())


def test_an_image_is_shown_pixel_by_pixel() -> None:
    image = torch.zeros(3, 32, 32)
    image[0, 4, 9] = 1.0  # a single red pixel becomes a block of 3 x 3
    png = image_grid([[image]], title="t")
    assert count(png, (1.0, 0.0, 0.0)) == 9
    shown = np.argwhere((pixels(png) == (255, 0, 0)).all(axis=2))
    dark = np.argwhere((pixels(png) == (0, 0, 0)).all(axis=2))
    corner = dark[dark[:, 0] > 30].min(axis=0)
    assert (shown.min(axis=0) - corner).tolist() == [4 * 3, 9 * 3]


def test_values_outside_the_range_are_clamped_and_uint8_is_scaled() -> None:
    wild = torch.full((3, 32, 32), 1.7)
    wild[1:] = -0.3
    assert count(image_grid([[wild]], title=""), (1.0, 0.0, 0.0)) == 96 * 96
    stored = torch.zeros(3, 32, 32, dtype=torch.uint8)
    stored[2] = 255
    assert count(image_grid([[stored]], title=""), (0.0, 0.0, 1.0)) == 96 * 96


def test_frames_follow_the_hits() -> None:
    labels = torch.tensor([0, 0, 4, 4])
    arguments = {
        "private": torch.full((4, 3, 16, 16), 0.5),
        "private_labels": labels,
        "images": torch.full((4, 3, 16, 16), 0.5),
        "labels": labels,
        "names": {},
        "identities": 2,
        "title": "t",
    }
    frame, badge = 104 * 104 - 96 * 96, 15 * 15
    for hit in ([1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]):
        everything = torch.ones(4, dtype=torch.bool)
        png = private_vs_reconstructed(hit=torch.tensor(hit).bool(), found=everything, **arguments)
        assert sum(hit) * frame <= count(png, HIT) <= sum(hit) * (frame + badge)
        missed = 4 - sum(hit)
        assert missed * frame / 2 <= count(png, MISS) <= missed * (frame / 1.5 + badge)


def test_what_was_not_found_stays_empty() -> None:
    labels = torch.tensor([0, 0, 4, 4])
    red = torch.tensor([1.0, 0.0, 0.0])[:, None, None].expand(4, 3, 32, 32)
    png = private_vs_reconstructed(
        private=torch.full((4, 3, 32, 32), 0.5),
        private_labels=labels,
        images=red,
        labels=labels,
        hit=torch.tensor([True, False, False, False]),
        found=torch.tensor([True, True, True, False]),
        names={},
        identities=2,
        title="t",
    )
    assert count(png, (1.0, 0.0, 0.0)) == 3 * (96 * 96 - 15 * 15)  # a tick or a cross in the corner


def test_bad_grids_are_refused() -> None:
    image = torch.zeros(3, 8, 8)
    with pytest.raises(ValueError, match="images of one size"):
        image_grid([[image, torch.zeros(3, 9, 9)]], title="")
    with pytest.raises(ValueError, match="images of one size"):
        image_grid([[None]], title="")
    with pytest.raises(ValueError, match="2 row labels for 1 rows"):
        image_grid([[image]], title="", row_labels=["a", "b"])
    with pytest.raises(ValueError, match="shape of rows"):
        image_grid([[image]], title="", frames=[[True, False]])


def test_words_of_several_lines_have_room() -> None:
    image = torch.zeros(3, 32, 32)
    one = pixels(image_grid([[image]], title="t", column_labels=["a"], note="n"))
    two = pixels(image_grid([[image]], title="t", column_labels=["a\nb"], note="n\nm"))
    assert two.shape[0] == one.shape[0] + 2 * 18 and two.shape[1] == one.shape[1]
    assert (pixels(image_grid([[image]], title="", note="n")).shape[0]) < one.shape[0]


def test_people_are_called_as_in_the_tables(monkeypatch) -> None:
    """Their labels are other numbers: CelebA's person 1 has label 0."""
    labels, images = torch.tensor([0, 0, 4, 4]), torch.zeros(4, 3, 16, 16)
    hit = torch.tensor([True, True, False, True])
    asked = []
    for module in (pictures, comparison):
        monkeypatch.setattr(module, "image_grid", lambda *_, **more: asked.append(more) or b"")
    private_vs_reconstructed(
        private=images,
        private_labels=labels,
        images=images,
        labels=labels,
        hit=hit,
        found=torch.ones(4, dtype=torch.bool),
        names={0: "1"},
        identities=2,
        title="t",
    )
    made = {"none": comparison.Made(images, labels, hit)}
    comparison.compare("t", images, labels, made, {0: "1"}, 2)
    assert [one["row_labels"] for one in asked] == [["1\n2/2", "4\n1/2"], ["1", "4"]]


def test_defences_whose_attacks_met_nobody_in_common_have_empty_places(monkeypatch) -> None:
    """An attack on whom it finds first meets other people on every target."""
    images, hit = torch.zeros(2, 3, 16, 16), torch.tensor([True, True])
    asked = []
    monkeypatch.setattr(
        comparison, "image_grid", lambda rows, **more: asked.append((rows, more)) or b""
    )
    made = {
        name: comparison.Made(images, torch.tensor([label, label]), hit)
        for name, label in (("none", 1), ("mid", 3))
    }
    comparison.compare("t", images, torch.tensor([1, 3]), made, {}, 8)
    ((rows, more),) = asked
    assert more["row_labels"] == ["1", "3"]
    assert [[one is None for one in row[-4:]] for row in rows] == [
        [False, False, True, True],
        [True, True, False, False],
    ]
