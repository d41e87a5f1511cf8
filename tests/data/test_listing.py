"""List files and folders as people have them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trapmid.data.listing import DataError, Named, contents, read_list, read_names


def listed(folder: Path, text: str | bytes) -> Path:
    path = folder / "list.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_names_and_identities(tmp_path: Path, start: str, end: str) -> None:
    text = start + end.join(["a.jpg 7", "", "./b/c.jpg\t012", ""])
    assert read_list(listed(tmp_path, text)) == [
        Named("a.jpg", 7, "list.txt:1"),
        Named("b/c.jpg", 12, "list.txt:3"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "image identity\na.jpg 7\n",
        "file label\r\na.jpg 7\r\n",
        "\ufeffimage_id,identity\r\na.jpg,7\r\n",
        "a.jpg,7\n",
        '"a.jpg", "7"\n',
    ],
)
def test_a_header_and_commas(tmp_path: Path, text: str) -> None:
    ((name, identity, _),) = read_list(listed(tmp_path, text))
    assert (name, identity) == ("a.jpg", 7)


@pytest.mark.parametrize("text", ["a.jpg x\nb.jpg 1\n", "b.jpg 1\nimage identity\n"])
def test_what_is_no_header_is_a_malformed_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"list\.txt:[12]: must be '<file name> <identity>'"):
        read_list(listed(tmp_path, text))


def test_spaces_in_a_name_need_commas(tmp_path: Path) -> None:
    assert read_list(listed(tmp_path, "Zoé B/a b.jpg,7\n"))[0].name == "Zoé B/a b.jpg"
    with pytest.raises(DataError, match=r"list\.txt:1: must be"):
        read_list(listed(tmp_path, "Zoé B/a b.jpg 7\n"))


def test_a_list_of_names_alone_may_have_spaces(tmp_path: Path) -> None:
    text = "photo (1).jpg\nZoé B/a b.jpg\n"
    assert [name for name, _ in read_names(listed(tmp_path, text))] == [
        "photo (1).jpg",
        "Zoé B/a b.jpg",
    ]
    assert read_names(listed(tmp_path, '"a, b.jpg"\n'))[0][0] == "a, b.jpg"
    with pytest.raises(DataError, match=r"list\.txt:1: must be '<file name>', is 'a\.jpg,7'"):
        read_names(listed(tmp_path, "a.jpg,7\n"))


def test_a_cell_that_never_ends(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"list\.txt:2: field larger than field limit"):
        read_list(listed(tmp_path, "a.jpg,1\n" + "b" * 200_000))


@pytest.mark.parametrize("name", ["../../x.jpg", "a/../../x.jpg", "/x.jpg", "..", ".", "a\0.jpg"])
def test_a_name_stays_inside_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"list\.txt:2: a name must lead to a file inside"):
        read_list(listed(tmp_path, f"a.jpg 1\n{name} 2\n"))


@pytest.mark.parametrize("number", ["12345678901234567890", "9" * 5000])
def test_an_identity_of_too_many_digits(tmp_path: Path, number: str) -> None:
    with pytest.raises(DataError, match=r"list\.txt:1: identity must have 18 digits") as caught:
        read_list(listed(tmp_path, f"a.jpg {number}\n"))
    assert len(str(caught.value)) < 300


def test_the_same_file_by_two_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"list\.txt:2: a\.jpg is on line 1 already"):
        read_list(listed(tmp_path, "a.jpg 1\n./a.jpg 1\n"))


def test_a_list_of_another_encoding(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"list\.txt: not a text file in UTF-8"):
        read_list(listed(tmp_path, "a.jpg 1\n".encode("utf-16")))


def test_a_pipe_is_no_list(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list.txt")
    with pytest.raises(DataError, match="is no regular file"):
        read_list(tmp_path / "list.txt")


def test_what_systems_leave_behind_is_passed_over(tmp_path: Path) -> None:
    for name in (".DS_Store", "._00001.png", "Thumbs.db", "desktop.ini", "00001.png"):
        (tmp_path / name).touch()
    assert contents(tmp_path) == [tmp_path / "00001.png"]


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    for name in ("file", "circle", "missing"):
        with pytest.raises(DataError, match=f"{name}: cannot be read as a folder"):
            contents(tmp_path / name)


def test_a_closed_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", closed)  # root may open any folder
    with pytest.raises(DataError, match=r"cannot be read as a folder \(Permission denied\)"):
        contents(tmp_path)
