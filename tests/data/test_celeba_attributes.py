"""CelebA's list of attributes, as its authors and Kaggle write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from trapmid.data.celeba_attributes import attributes
from trapmid.data.listing import DataError

TEXT = "2\nBald Smiling Young \n000001.jpg -1  1  1\n000002.jpg  1 -1 -1\n"
CSV = "image_id,Bald,Smiling,Young\n000001.jpg,-1,1,1\n000002.jpg,1,-1,-1\n"
EXPECTED = {"000001.jpg": (False, True, True), "000002.jpg": (True, False, False)}


def write(root: Path, name: str, text: str) -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(text.encode())
    return root


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list_attr_celeba.txt", TEXT),
        ("list_attr_celeba.txt", "\ufeff" + TEXT.replace("\n", "\r\n") + "\r\n"),
        ("list_attr_celeba.txt", TEXT.removeprefix("2\n").replace("Bald", "image_id Bald")),
        ("list_attr_celeba.csv", CSV),
        ("list_attr_celeba.csv", "\ufeff" + CSV.replace("\n", "\r\n")),
        ("list_attr_celeba.csv", CSV.replace("000001.jpg", '"000001.jpg"')),
        ("celeba/list_attr_celeba.txt", TEXT),
        ("Anno/list_attr_celeba.txt", TEXT),
    ],
    ids=["text", "windows", "header", "csv", "csv, windows", "quoted", "torchvision", "drive"],
)
def test_names_and_values_of_each_image(tmp_path: Path, name: str, text: str) -> None:
    found = attributes(write(tmp_path, name, text))
    assert found == (("Bald", "Smiling", "Young"), EXPECTED)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXT.replace("2\n", "3\n", 1), "has 2 images, its first line says 3"),
        ("0\nBald\n", "has 0 images, its first line says 0"),
        ("", "must begin with the names of the attributes"),
        (TEXT.replace("Smiling", "Bald"), "must begin with the names of the attributes, each once"),
        (TEXT.replace(" -1 -1", " -1"), ":4: must be a file name and 3 times 1 or -1"),
        (TEXT.replace(" -1 -1", " -1 0"), ":4: must be a file name and 3 times 1 or -1"),
        (TEXT.replace("000002", "000001"), r":4: 000001\.jpg is there already"),
        (TEXT.replace("000002", "../2"), ":4: a name must lead to a file inside"),
    ],
    ids=["cut off", "none", "empty", "name twice", "short", "zero", "image twice", "outside"],
)
def test_a_wrong_list_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path, "list_attr_celeba.txt", text)
    with pytest.raises(DataError, match=rf"list_attr_celeba\.txt:? ?{words}"):
        attributes(tmp_path)


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"list_attr_celeba\.txt: no such file"):
        attributes(tmp_path)
