"""Folders of anyone's faces: `people`, `flat` and `lfw`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smooth import picture
from trapmid.config.study import DataRow, Source
from trapmid.data import flat, folders, lfw, people
from trapmid.data.listing import DataError
from trapmid.data.prepare import prepare

LAYOUTS = {"people": people.Reader(), "flat": flat.Reader(), "lfw": lfw.Reader()}


def saved(file: Path, width: int = 40, height: int = 50, number: int = 0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    picture(width, height, number).save(file)
    return file


def write_lfw(home: Path, counts: dict[str, int]) -> Path:
    total = 0
    for name, count in counts.items():
        for index in range(1, count + 1):
            saved(home / "lfw_funneled" / name / f"{name}_{index:04d}.jpg", 250, 250, total)
            total += 1
    return home


# --- a folder per person ------------------------------------------------------------------------


def test_whose_picture_it_is_says_its_folder(tmp_path: Path) -> None:
    for name in ("Zoé B/1.png", "Zoé B/2.JPG", "ann/x y.webp"):
        saved(tmp_path / name)
    for name in (".DS_Store", "notes.txt", "ann/Thumbs.db", "ann/notes.txt"):
        (tmp_path / name).touch()
    found = people.Reader().entries(tmp_path)
    owners = {entry.file.relative_to(tmp_path).as_posix(): entry.identity for entry in found}
    assert owners == {
        "Zoé B/1.png": folders.number("Zoé B"),
        "Zoé B/2.JPG": folders.number("Zoé B"),
        "ann/x y.webp": folders.number("ann"),
    }
    assert len(set(owners.values())) == 2


def test_a_new_person_changes_nobodys_number_or_split(
    tmp_path: Path, data_row: Callable[..., DataRow]
) -> None:
    for name in ("dan", "eve", "kim"):
        for index in range(6):
            saved(tmp_path / "faces" / name / f"{index}.png", number=hash_free(name, index))
    for index in range(3):
        saved(tmp_path / "others" / f"{index}.png", number=100 + index)
    row = data_row(
        Source(reader="people", path=str(tmp_path / "faces")),
        Source(reader="flat", path=str(tmp_path / "others")),
    )
    before = prepare(row, people.Reader(), flat.Reader()).manifest
    for index in range(6):
        saved(tmp_path / "faces" / "amy" / f"{index}.png", number=200 + index)
    grown = data_row(row.private, row.public, identities=4)
    after = prepare(grown, people.Reader(), flat.Reader()).manifest
    old, new = ({(r.path, r.identity, r.split) for r in rows} for rows in (before, after))
    assert old < new and all("/amy/" in path for path, _, _ in new - old)
    assert before[-1].path == "flat/2.png" and before[-1].identity == ""


def hash_free(name: str, index: int) -> int:
    """A number of the picture that Python's random `hash` has no part in."""
    return sum(name.encode()) * 10 + index


def test_numbers_of_names_are_fixed() -> None:
    """The last twelve digits of SHA-256, as any other program computes it."""
    digest = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"  # of "alice"
    assert folders.number("alice") == int(digest, 16) % 10**12


def test_a_name_is_one_name_however_its_accents_are_written(tmp_path: Path) -> None:
    """macOS writes two characters where other systems write one."""
    assert folders.number("Zoe\u0301") == folders.number("Zo\u00e9")
    saved(tmp_path / "Zoe\u0301" / "1.png")
    saved(tmp_path / "Zo\u00e9" / "1.png")
    with pytest.raises(DataError, match="have the same number; rename one of the folders"):
        people.Reader().entries(tmp_path)


def test_two_names_of_one_number_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path / "a" / "1.png")
    saved(tmp_path / "b" / "1.png")
    monkeypatch.setattr(folders, "number", lambda name: 7)
    with pytest.raises(DataError, match="b and a have the same number"):
        people.Reader().entries(tmp_path)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("1.png", "ann/1.png"), r"1\.png: must be in a folder of the person"),
        (("ann/more/1.png",), r"ann/more: is a folder, and only pictures are read here"),
        (("ann/notes.txt",), r"ann: has no picture \(\.jpg, "),
        (("notes.txt",), "has no folders, there must be one per person"),
    ],
)
def test_what_would_be_passed_over_is_refused(
    tmp_path: Path, names: tuple[str, ...], words: str
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=words):
        people.Reader().entries(tmp_path)


@pytest.mark.parametrize("layout", ["people", "flat"])
@pytest.mark.parametrize("name", ["IMG_1.HEIC", "1.gif", "1.jfif", "1.avif", "1.dng", "1.JXL"])
def test_a_photograph_of_another_kind_is_refused(tmp_path: Path, layout: str, name: str) -> None:
    """A telephone's pictures would be gone without a word, and their person with them."""
    folder = tmp_path / "ann" if layout == "people" else tmp_path
    saved(folder / "2.png")
    (folder / name).touch()
    line = rf"{name}: is not read, only \.jpg, .* are; convert it, or take it away$"
    with pytest.raises(DataError, match=line):
        LAYOUTS[layout].entries(tmp_path)


def test_a_photograph_of_another_kind_beside_the_people_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "ann" / "1.png")
    (tmp_path / "bob.heic").touch()
    with pytest.raises(DataError, match=r"bob\.heic: is not read, only "):
        people.Reader().entries(tmp_path)


@pytest.mark.parametrize("to", ["nowhere", "bob"])
@pytest.mark.parametrize("layout", ["people", "flat"])
def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path, layout: str, to: str) -> None:
    """Such as a person's folder on a disk that is not there; `bob` leads to itself."""
    saved(tmp_path / ("ann/1.png" if layout == "people" else "1.png"))
    (tmp_path / "bob").symlink_to(tmp_path / to)
    with pytest.raises(DataError, match=r"bob: is a link that leads nowhere, or back to itself$"):
        LAYOUTS[layout].entries(tmp_path)


def test_links_to_pictures_and_people_are_followed(tmp_path: Path) -> None:
    saved(tmp_path / "disk" / "ann" / "1.png")
    saved(tmp_path / "disk" / "2.png")
    (tmp_path / "faces" / "bob").mkdir(parents=True)
    (tmp_path / "faces" / "ann").symlink_to(tmp_path / "disk" / "ann")
    (tmp_path / "faces" / "bob" / "2.png").symlink_to(tmp_path / "disk" / "2.png")
    assert len(people.Reader().entries(tmp_path / "faces")) == 2


@pytest.mark.parametrize("where", ["person", "picture"])
def test_a_name_that_is_no_text_is_refused(tmp_path: Path, where: str) -> None:
    """Of a disk that another system wrote; the line itself can be printed anywhere."""
    name = os.fsdecode(b"Z\xfcrich")
    saved(tmp_path / "ann" / "1.png")
    if where == "person":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / "ann" / f"{name}.txt").touch()
    with pytest.raises(DataError) as caught:
        people.Reader().entries(tmp_path)
    assert str(caught.value).isascii()
    assert r"Z\udcfcrich" in str(caught.value)
    assert str(caught.value).endswith(": the name is no text in UTF-8; rename it")


# --- a flat folder ------------------------------------------------------------------------------


def test_strangers_have_no_identity(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpeg"):
        saved(tmp_path / name)
    (tmp_path / "list.csv").touch()
    found = flat.Reader().entries(tmp_path)
    assert [(entry.file.name, entry.identity) for entry in found] == [
        ("a.jpeg", None),
        ("b.png", None),
    ]
    (tmp_path / "more").mkdir()
    with pytest.raises(DataError, match="more: is a folder"):
        flat.Reader().entries(tmp_path)


@pytest.mark.parametrize("layout", ["people", "flat"])
@pytest.mark.parametrize(("width", "height"), [(41, 60), (60, 41), (41, 41)])
def test_the_largest_square_in_the_middle_is_read(
    tmp_path: Path, layout: str, width: int, height: int
) -> None:
    file = saved(tmp_path / "a.png", width, height)
    whole = np.asarray(Image.open(file))
    left, top = (9, 0) if width > height else (0, 9) if height > width else (0, 0)
    square = Image.fromarray(whole[top : top + 41, left : left + 41])
    expected = np.asarray(square.resize((16, 16), Image.BILINEAR)).transpose(2, 0, 1)
    assert np.array_equal(LAYOUTS[layout].load(file, 16).numpy(), expected)


def test_a_picture_is_not_enlarged(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.png", 40, 31)
    with pytest.raises(DataError, match=r"a\.png: is 40x31, must be at least 32x32"):
        flat.Reader().load(file, 32)


# --- LFW ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("root", ["lfw_home", "."])
@pytest.mark.parametrize("folder", ["lfw_funneled", "lfw", "lfw-deepfunneled"])
def test_lfw_is_read_without_its_lists_of_pairs(tmp_path: Path, root: str, folder: str) -> None:
    home = write_lfw(tmp_path / "lfw_home", {"Al_Gore": 2, "Zico": 1})
    (home / "lfw_funneled").rename(home / folder)
    (home / folder / "pairs_01.txt").touch()  # the archive has such a list
    found = lfw.Reader().entries(tmp_path / root)
    assert [(entry.file.name, entry.identity) for entry in found] == [
        ("Al_Gore_0001.jpg", folders.number("Al_Gore")),
        ("Al_Gore_0002.jpg", folders.number("Al_Gore")),
        ("Zico_0001.jpg", folders.number("Zico")),
    ]


def test_the_folder_of_lfws_people_is_read_itself(tmp_path: Path) -> None:
    home = write_lfw(tmp_path / "lfw_home", {"Al_Gore": 2, "Zico": 1})
    (home / "lfw_funneled" / "pairs.txt").write_text("10\t300\n", encoding="utf-8")
    link = tmp_path / "lfw"
    link.symlink_to(home / "lfw_funneled")
    for root in (home / "lfw_funneled", link):
        names = [entry.file.name for entry in lfw.Reader().entries(root)]
        assert names == ["Al_Gore_0001.jpg", "Al_Gore_0002.jpg", "Zico_0001.jpg"]


def test_lfws_crop_is_rows_70_to_194(tmp_path: Path) -> None:
    """The rows of scikit-learn's default slice, and as many columns about its middle."""
    home = write_lfw(tmp_path, {"Zico": 1})
    file = home / "lfw_funneled" / "Zico" / "Zico_0001.jpg"
    square = Image.fromarray(np.asarray(Image.open(file))[70:195, 62:187])
    expected = np.asarray(square.resize((32, 32), Image.BILINEAR)).transpose(2, 0, 1)
    assert np.array_equal(lfw.Reader().load(file, 32).numpy(), expected)
    saved(file, 250, 249)
    with pytest.raises(DataError, match=r"Zico_0001\.jpg: is 250x249, must be 250x250"):
        lfw.Reader().load(file, 32)


def test_another_name_is_refused(tmp_path: Path) -> None:
    home = write_lfw(tmp_path, {"Zico": 1})
    saved(home / "lfw_funneled" / "Zico" / "me.jpg", 250, 250)
    with pytest.raises(DataError, match=r"me\.jpg: must be named Zico_0001\.jpg and so on"):
        lfw.Reader().entries(home)


def test_lfw_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder lfw_funneled or lfw-deepfunneled or lfw"):
        lfw.Reader().entries(tmp_path)
