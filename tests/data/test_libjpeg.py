"""The quick decoder: Pillow's pixels bit for bit, and libjpeg's own word on damage."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from smooth import picture
from trapmid.data import libjpeg
from trapmid.data.listing import DataError
from trapmid.data.pictures import read_picture

SIZE = (178, 218)

pytestmark = pytest.mark.filterwarnings("ignore:The image decoding and encoding:DeprecationWarning")


def encoded(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """stderr of this process is a file of pytest's here, which may hold something."""
    monkeypatch.setattr(libjpeg, "_said", os.fstat(2).st_size)


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [10, 75, 95])
def test_its_pixels_are_pillows(quality: int, subsampling: int, progressive: bool) -> None:
    options = {"quality": quality, "subsampling": subsampling, "progressive": progressive}
    for seed in range(3):
        content = encoded(picture(*SIZE, seed), **options)
        quick = libjpeg.decode(content)
        assert quick is not None
        assert quick.tobytes() == Image.open(io.BytesIO(content)).tobytes()


@pytest.mark.usefixtures("listening")
def test_a_warning_and_an_error_ask_for_a_closer_look_and_the_next_picture_does_not() -> None:
    whole = encoded(picture(*SIZE, 0), quality=92)
    middle = (whole.index(b"\xff\xda") + len(whole)) // 2
    lost = whole[:middle] + whole[middle + 100 :]
    closed = whole[:middle] + b"\xff\xd9"
    for broken in (lost, closed, whole[:middle], b"no picture", b""):
        assert libjpeg.decode(broken) is None
        assert libjpeg.decode(whole) is not None


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("orientation", [None, 1, 6])
def test_reading_is_the_same_whether_it_listens_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orientation: int | None
) -> None:
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    for mode in ("RGB", "L"):
        picture(*SIZE, 3).convert(mode).save(tmp_path / f"{mode}.jpg", exif=exif)
    files = sorted(tmp_path.iterdir())
    quick = [read_picture(file, "RGB", None).tobytes() for file in files]
    monkeypatch.setattr(libjpeg, "_said", None)
    assert quick == [read_picture(file, "RGB", None).tobytes() for file in files]


@pytest.mark.usefixtures("listening")
def test_what_is_wrong_is_said_as_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encoded(picture(*SIZE, 1), quality=92)
    start = whole.index(b"\xff\xda") + 20
    broken = {
        "zeros": whole[:start] + bytes(2048) + whole[start + 2048 :],
        "noise": whole[:start] + Random(0).randbytes(512) + whole[start + 512 :],
        "cut": whole[: len(whole) // 2],
        "small": encoded(picture(10, 10, 1)),
        "cmyk": encoded(picture(*SIZE, 1).convert("CMYK")),
        "empty": b"",
    }
    for name, content in broken.items():
        file = tmp_path / f"{name}.jpg"
        file.write_bytes(content)
        said = []
        for state in (os.fstat(2).st_size, None):
            monkeypatch.setattr(libjpeg, "_said", state)
            with pytest.raises(DataError) as caught:
                read_picture(file, "RGB", SIZE)
            said.append(str(caught.value))
        assert said[0] == said[1], name


def test_without_torchvisions_decoder_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("torchvision.io.decode_jpeg")
    libjpeg.listen()
    assert not libjpeg.listens()


@pytest.mark.slow
def test_listening_takes_stderr_of_its_process(tmp_path: Path) -> None:
    whole = encoded(picture(*SIZE, 0))
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) - 60] + b"\xff\xd9")
    code = (
        "from pathlib import Path; from trapmid.data import libjpeg\n"
        "libjpeg.listen(); print(libjpeg.listens(), libjpeg.decode(Path('cut.jpg').read_bytes()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("True None\n", "")
