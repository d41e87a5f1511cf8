"""FFHQ's thumbnails: the crop, the folders of 1000."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trapmid.data.ffhq import Reader
from trapmid.data.listing import DataError


def test_the_crop_is_the_centre_88_at_offset_20(ffhq: Path) -> None:
    file = ffhq / "01000" / "01001.png"
    whole = np.asarray(Image.open(file))
    expected = Image.fromarray(whole[20:108, 20:108]).resize((64, 64), Image.BILINEAR)
    assert np.array_equal(Reader().load(file, 64).numpy(), np.asarray(expected).transpose(2, 0, 1))


def test_every_thumbnail_is_a_person_of_its_own(ffhq: Path) -> None:
    entries = Reader().entries(ffhq)
    assert [entry.file.name for entry in entries] == [f"{n:05d}.png" for n in range(995, 1003)]
    assert {entry.identity for entry in entries} == {None}


def test_a_thumbnail_in_the_wrong_folder_is_refused(ffhq: Path) -> None:
    (ffhq / "00000" / "00999.png").rename(ffhq / "01000" / "00999.png")
    with pytest.raises(DataError, match=r"01000/00999\.png: must be in the folder of its thousand"):
        Reader().entries(ffhq)


@pytest.mark.parametrize(
    "name", ["00000/face.png", "00000/00000.jpg", "00000/0.PNG", "more/00002.png", "00003.png"]
)
def test_a_picture_of_another_name_is_refused(ffhq: Path, name: str) -> None:
    """It would be missing without a word."""
    (ffhq / name).parent.mkdir(exist_ok=True)
    (ffhq / name).touch()
    with pytest.raises(DataError, match=rf"{name}: must be in the folder of its thousand"):
        Reader().entries(ffhq)


def test_what_is_no_picture_is_passed_over(ffhq: Path) -> None:
    for name in ("LICENSE.txt", ".DS_Store", "00000/Thumbs.db", "00000/._00999.png"):
        (ffhq / name).touch()
    assert len(Reader().entries(ffhq)) == 8


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no thumbnails"):
        Reader().entries(tmp_path)


def test_a_broken_png_is_refused(ffhq: Path) -> None:
    file = ffhq / "01000" / "01000.png"
    content = bytearray(file.read_bytes())
    content[40:] = b"\0" * (len(content) - 40)
    file.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"01000\.png: corrupt image"):
        Reader().load(file, 16)
