"""Links that DVC follows, and the one that it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from trapmid.data import links
from trapmid.data.listing import DataError


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Another disk: disk/celeba/pictures/1.jpg."""
    file = tmp_path / "disk" / "celeba" / "pictures" / "1.jpg"
    file.parent.mkdir(parents=True)
    file.touch()
    return tmp_path / "disk"


def test_the_folder_itself_or_one_above_may_be_a_link(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "celeba").symlink_to(disk / "celeba")
    (tmp_path / "external").symlink_to(disk)
    links.check(tmp_path / "celeba")
    links.check(tmp_path / "external" / "celeba")


def test_a_file_in_it_may_be_a_link(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "1.jpg").symlink_to(disk / "celeba" / "pictures" / "1.jpg")
    links.check(tmp_path / "faces")


@pytest.mark.parametrize("at", ["pictures", "deep/er/pictures"])
def test_a_folder_in_it_may_not(disk: Path, tmp_path: Path, at: str) -> None:
    link = tmp_path / "faces" / at
    link.parent.mkdir(parents=True)
    link.symlink_to(disk / "celeba" / "pictures")
    with pytest.raises(DataError, match="is a link to a folder, behind which DVC") as caught:
        links.check(tmp_path / "faces")
    assert str(caught.value).startswith(f"{link}: ")
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_left_to_the_reader(tmp_path: Path) -> None:
    links.check(tmp_path / "missing")
