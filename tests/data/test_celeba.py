"""CelebA's layout: the crop, the list file, wrong images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trapmid.data.celeba import Reader
from trapmid.data.listing import DataError


def first(root: Path) -> Path:
    return root / "img_align_celeba" / "000001.jpg"


def edit_list(root: Path, number: int, text: str) -> None:
    path = root / "identity_CelebA.txt"
    lines = path.read_text().splitlines()
    lines[number - 1] = text
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("size", [16, 64, 112])
def test_the_crop_is_rows_55_to_162_and_columns_35_to_142(celeba: Path, size: int) -> None:
    whole = np.asarray(Image.open(first(celeba)))  # (218, 178, 3)
    expected = Image.fromarray(whole[55:163, 35:143]).resize((size, size), Image.BILINEAR)
    image = Reader().load(first(celeba), size)
    assert image.shape == (3, size, size)
    assert np.array_equal(image.numpy(), np.asarray(expected).transpose(2, 0, 1))


def test_entries_name_their_line(celeba: Path) -> None:
    entries = Reader().entries(celeba)
    assert len(entries) == 29
    assert entries[3] == (
        celeba / "img_align_celeba" / "000004.jpg",
        4,
        "identity_CelebA.txt:4",
    )


def test_a_folder_of_png_files_fits_the_list_of_jpg_names(celeba: Path) -> None:
    folder = celeba / "img_align_celeba"
    folder.rename(celeba / "img_align_celeba_png")
    with Image.open(celeba / "img_align_celeba_png" / "000001.jpg") as image:
        image.save(celeba / "img_align_celeba_png" / "000001.png")
    entry = Reader().entries(celeba)[0]
    assert entry.file.name == "000001.png"
    assert Reader().load(entry.file, 8).shape == (3, 8, 8)


@pytest.mark.parametrize(
    "line", ["000017.jpg", "000017.jpg x", "000017.jpg -4", "000017.jpg 1.5", "000017.jpg 4 5"]
)
def test_a_malformed_line_is_named(celeba: Path, line: str) -> None:
    edit_list(celeba, 17, line)
    with pytest.raises(DataError, match=r"identity_CelebA\.txt:17: must be .* is '000017"):
        Reader().entries(celeba)


def test_a_file_listed_twice_is_refused(celeba: Path) -> None:
    edit_list(celeba, 17, "000003.jpg 5")
    with pytest.raises(DataError, match=r"txt:17: 000003\.jpg is on line 3 already"):
        Reader().entries(celeba)


def test_a_missing_or_empty_list_is_refused(celeba: Path) -> None:
    (celeba / "identity_CelebA.txt").write_text("\n")
    with pytest.raises(DataError, match=r"identity_CelebA\.txt: lists no image"):
        Reader().entries(celeba)
    (celeba / "identity_CelebA.txt").unlink()
    with pytest.raises(DataError, match=r"identity_CelebA\.txt: no such file"):
        Reader().entries(celeba)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder img_align_celeba or img_align_celeba_png"):
        Reader().entries(tmp_path)


def test_kaggles_folder_in_a_folder_is_read(celeba: Path) -> None:
    folder = celeba / "img_align_celeba"
    folder.rename(celeba / "inner")
    folder.mkdir()
    (celeba / "inner").rename(folder / "img_align_celeba")
    (folder / ".DS_Store").touch()
    entry = Reader().entries(celeba)[0]
    assert entry.file == folder / "img_align_celeba" / "000001.jpg"
    assert Reader().load(entry.file, 8).shape == (3, 8, 8)


@pytest.mark.parametrize(
    ("images", "lists"),
    [("celeba", "celeba"), ("Img", "Anno"), ("celeba/Img", "celeba/Anno"), (".", "Anno")],
    ids=["torchvision", "drive", "drive inside", "mixed"],
)
def test_folders_as_they_are_unpacked(celeba: Path, images: str, lists: str) -> None:
    expected = {entry.file.name: entry.identity for entry in Reader().entries(celeba)}
    for name, place in (("img_align_celeba", images), ("identity_CelebA.txt", lists)):
        (celeba / place).mkdir(parents=True, exist_ok=True)
        (celeba / name).rename(celeba / place / name)
    (celeba / "Thumbs.db").touch()
    (celeba / "list_bbox_celeba.txt").touch()
    entries = Reader().entries(celeba)
    assert {entry.file.name: entry.identity for entry in entries} == expected
    assert all(entry.file.is_file() for entry in entries)


def test_a_list_in_csv(celeba: Path) -> None:
    text = celeba / "identity_CelebA.txt"
    expected = Reader().entries(celeba)
    lines = ["image_id,identity", *text.read_text().replace(" ", ",").splitlines()]
    text.unlink()
    (celeba / "identity_CelebA.csv").write_bytes("\r\n".join(lines).encode())
    entries = Reader().entries(celeba)
    assert [entry[:2] for entry in entries] == [entry[:2] for entry in expected]
    assert entries[3].line == "identity_CelebA.csv:5"


def test_a_file_where_the_folder_must_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "img_align_celeba").touch()
    with pytest.raises(DataError, match=r"img_align_celeba: cannot be read as a folder"):
        Reader().entries(tmp_path)
    with pytest.raises(DataError, match=r"missing: cannot be read as a folder"):
        Reader().entries(tmp_path / "missing")


def test_wrong_images_are_refused(celeba: Path) -> None:
    file = first(celeba)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"000001\.jpg: corrupt image \(.*truncated"):
        Reader().load(file, 16)
    file.write_bytes(b"no picture at all")
    with pytest.raises(DataError, match=r"000001\.jpg: corrupt image \(no known"):
        Reader().load(file, 16)
    Image.new("RGB", (218, 178)).save(file)
    with pytest.raises(DataError, match="is 218x178, must be 178x218"):
        Reader().load(file, 16)
    file.unlink()
    with pytest.raises(DataError, match=r"000001\.jpg: no such image"):
        Reader().load(file, 16)
