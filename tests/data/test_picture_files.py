"""Pictures as people have them: read upright in eight bits, or refused in a line."""

from __future__ import annotations

import importlib
import os
import socket
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from trapmid.data import pictures
from trapmid.data.listing import DataError
from trapmid.data.pictures import read_picture

WIDTH, HEIGHT = 24, 32
UPRIGHT = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
GREY = UPRIGHT[..., 0]


def saved(file: Path, picture: Image.Image, **options: Any) -> Path:
    picture.save(file, **options)
    return file


def read(file: Path, mode: str = "RGB") -> np.ndarray[Any, Any]:
    return np.asarray(read_picture(file, mode, (WIDTH, HEIGHT)))


# What EXIF's table says: where row 0 and column 0 of the file are in the upright picture.
STORED: dict[int, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {
    1: lambda u: u,
    2: lambda u: u[:, ::-1],
    3: lambda u: u[::-1, ::-1],
    4: lambda u: u[::-1],
    5: lambda u: u.transpose(1, 0, 2),
    6: lambda u: np.rot90(u, 1),
    7: lambda u: u[::-1, ::-1].transpose(1, 0, 2),
    8: lambda u: np.rot90(u, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_a_picture_is_upright_by_its_exif(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](UPRIGHT)))
    assert np.array_equal(read(saved(tmp_path / "a.png", stored, exif=exif)), UPRIGHT)


def test_a_lying_picture_has_the_size_of_the_upright_one(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    file = saved(tmp_path / "a.png", Image.fromarray(UPRIGHT), exif=exif)
    with pytest.raises(DataError, match=r"a\.png: is 32x24, must be 24x32"):
        read(file)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_grey_of_16_bits_is_scaled_to_eight(tmp_path: Path, mode: str) -> None:
    values = np.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH) * 85 + 255
    file = saved(tmp_path / "a.png", Image.fromarray(values.astype(np.uint16)))
    expected = np.floor(values * 255 / 65535 + 0.5)
    found = read(file, mode)
    assert np.array_equal(found if mode == "L" else found[..., 1], expected)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_opaque_pixels_of_eight_bits_are_read_as_they_are(tmp_path: Path, mode: str) -> None:
    colours = np.where(UPRIGHT > 127, 255, 0).astype(np.uint8)  # any palette holds these eight
    grey = mode in ("1", "L", "LA")
    picture = Image.fromarray(colours[..., 0] if grey else colours).convert(mode)
    expected = colours[..., :1].repeat(3, axis=2) if grey else colours
    assert np.array_equal(read(saved(tmp_path / "a.png", picture)), expected)


def transparent(tmp_path: Path) -> Path:
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    alpha[3, 4] = 254
    return saved(tmp_path / "a.png", Image.fromarray(np.concatenate([UPRIGHT, alpha], axis=2)))


def transparent_grey(tmp_path: Path) -> Path:
    values = np.linspace(0, 60_000, WIDTH * HEIGHT).astype(np.uint16).reshape(HEIGHT, WIDTH)
    return saved(tmp_path / "a.png", Image.fromarray(values), transparency=0)


def transparent_palette(tmp_path: Path) -> Path:
    return saved(
        tmp_path / "a.png", Image.fromarray(GREY).convert("P"), transparency=int(GREY[0, 0])
    )


def cmyk(tmp_path: Path) -> Path:
    return saved(tmp_path / "a.jpg", Image.fromarray(UPRIGHT).convert("CMYK"))


def floats(tmp_path: Path) -> Path:
    return saved(tmp_path / "a.tif", Image.fromarray(GREY.astype(np.float32)))


def truncated(tmp_path: Path) -> Path:
    file = saved(tmp_path / "a.jpg", Image.fromarray(UPRIGHT))
    file.write_bytes(file.read_bytes()[:-200])
    return file


def empty(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").touch()
    return tmp_path / "a.jpg"


def bomb(tmp_path: Path) -> Path:
    """A picture of 400 million black pixels, in half a megabyte."""
    return saved(tmp_path / "a.png", Image.new("1", (20_000, 20_000)))


def large(tmp_path: Path) -> Path:
    """Pillow only warns of this one."""
    return saved(tmp_path / "a.png", Image.new("1", (10_000, 10_000)))


def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "a.jpg")
    return tmp_path / "a.jpg"


def device(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").symlink_to("/dev/zero")
    return tmp_path / "a.jpg"


def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").mkdir()
    return tmp_path / "a.jpg"


def circle(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").symlink_to(tmp_path / "a.jpg")
    return tmp_path / "a.jpg"


def below_a_file(tmp_path: Path) -> Path:
    (tmp_path / "images").touch()
    return tmp_path / "images" / "a.jpg"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (transparent, "is transparent in part, must be opaque"),
        (transparent_palette, "is transparent in part, must be opaque"),
        (transparent_grey, "is transparent in part, must be opaque"),
        (cmyk, "has pixels of the kind CMYK, must be RGB, a palette or grey"),
        (floats, "has pixels of the kind F, must be RGB, a palette or grey"),
        (truncated, r"corrupt image \("),
        (empty, r"corrupt image \(no known"),
        (bomb, "is too large, must be 24x32"),
        (large, "is too large, must be 24x32"),
        (pipe, "is no regular file"),
        (device, "is no regular file"),
        (folder, "is no regular file"),
        (circle, r"cannot be read \(Too many levels of symbolic links\)"),
        (below_a_file, r"cannot be read \(Not a directory\)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_read_right_is_refused_in_a_line(
    tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    with pytest.raises(DataError, match=rf"a\.\w+: {words}") as caught:
        read(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("a.jpg")
        with pytest.raises(DataError, match="is no regular file"):
            read(Path("a.jpg"))


def test_without_a_size_the_decoders_limit_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is too large, must be under 89,478,485 pixels"):
        read_picture(bomb(tmp_path), "L", None)


def test_what_pillow_only_warns_of_is_refused_outside_of_tests(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        importlib.reload(pictures)
        with pytest.raises(DataError, match="is too large, must be under"):
            pictures.read_picture(large(tmp_path), "L", None)


def test_a_second_picture_behind_the_first_is_passed_over(tmp_path: Path) -> None:
    first, second = Image.fromarray(UPRIGHT), Image.fromarray(255 - UPRIGHT)
    file = saved(tmp_path / "a.jpg", first, format="MPO", save_all=True, append_images=[second])
    assert np.array_equal(read(file), read(saved(tmp_path / "b.jpg", first)))


@pytest.mark.parametrize("kind", ["JPEG", "MPO"])
@pytest.mark.parametrize("damage", ["zeros", "cut"])
def test_a_jpeg_that_is_damaged_inside_is_refused(tmp_path: Path, kind: str, damage: str) -> None:
    """Telephones write a small second picture behind the first, and call it a JPEG."""
    picture = Image.fromarray(UPRIGHT)
    options = {"save_all": True, "append_images": [picture]} if kind == "MPO" else {}
    whole = saved(tmp_path / "a.jpg", picture, format=kind, **options).read_bytes()
    middle = whole.index(b"\xff\xd9", whole.index(b"\xff\xda")) - 400
    broken = {"zeros": whole[:middle] + bytes(200) + whole[middle + 200 :]}
    broken["cut"] = whole[:middle] + whole[middle + 200 :]
    (tmp_path / "a.jpg").write_bytes(broken[damage])
    with pytest.raises(DataError, match=r"corrupt image \(its data do not fit its pixels\)"):
        read(tmp_path / "a.jpg")
