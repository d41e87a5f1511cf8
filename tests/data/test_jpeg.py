"""Damage inside JPEG files: which share is found, and that healthy files are left alone."""

from __future__ import annotations

import io
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from PIL import Image

from smooth import picture
from trapmid.data.jpeg import is_damaged

COUNT = 20


def encoded(image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


def decoded(content: bytes) -> bytes | None:
    """Pillow's pixels; None where it complains itself."""
    try:
        return Image.open(io.BytesIO(content)).tobytes()
    except OSError:
        return None


def found(content: bytes) -> bool:
    pixels = decoded(content)
    return pixels is None or is_damaged(content, pixels)


def overwritten(content: bytes, new: bytes) -> bytes:
    """With `new` in the middle of the data, which a quantisation table or two precede."""
    start = (content.index(b"\xff\xda") + len(content)) // 2 - len(new) // 2
    return content[:start] + new + content[start + len(new) :]


DAMAGES: dict[str, tuple[Callable[[bytes, Random], bytes], int]] = {
    "2,048 zeros": (lambda content, rng: overwritten(content, bytes(2048)), COUNT),
    "512 of noise": (lambda content, rng: overwritten(content, rng.randbytes(512)), 18),
    "512 lost": (lambda content, rng: content[:2000] + content[2512:], 18),
    "cut and closed": (lambda content, rng: content[: len(content) // 2] + b"\xff\xd9", COUNT),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_found(kind: str) -> None:
    damage, least = DAMAGES[kind]
    faces = [encoded(picture(178, 218, seed), quality=92) for seed in range(COUNT)]
    assert sum(found(damage(face, Random(i))) for i, face in enumerate(faces)) >= least


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("quality", [10, 60, 95])
def test_a_healthy_file_is_left_alone(quality: int, subsampling: int, progressive: bool) -> None:
    for seed in range(5):
        options = {"quality": quality, "subsampling": subsampling, "progressive": progressive}
        content = encoded(picture(178, 218, seed), **options)
        assert not is_damaged(content, Image.open(io.BytesIO(content)).tobytes())


@pytest.mark.parametrize("side", [1, 8, 17, 178])
@pytest.mark.parametrize("value", [0, 127, 129, 255])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_flat_picture_is_left_alone(mode: str, value: int, side: int) -> None:
    flat = Image.new("L", (side, side), value).convert(mode)
    content = encoded(flat)
    assert not is_damaged(content, Image.open(io.BytesIO(content)).tobytes())


def test_restarts_a_thumbnail_and_bytes_after_the_end_are_left_alone() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x927C] = encoded(picture(40, 40, 1))  # a picture inside the picture
    content = encoded(picture(178, 218, 0), exif=exif, restart_marker_rows=2)
    content += b"more than eight bytes\xff\xd9"
    assert content.count(b"\xff\xda") == 2
    assert not is_damaged(content, Image.open(io.BytesIO(content)).tobytes())
