"""The files of a synthetic data set."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from trapmid.data.drawing import images
from trapmid.data.drawing.attributes import binary_attributes
from trapmid.data.drawing.vectors import ATTRIBUTES, identity_vectors
from trapmid.data.synthetic import Maker

pytestmark = pytest.mark.usefixtures("one_thread")


TINY = Maker(identities=3, images=3, others=2, other_images=2, thumbnails=2, seed=7)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "faces"
    TINY.make(folder, lambda line: None)
    return folder


def owners(folder: Path) -> list[tuple[str, int]]:
    lines = (folder / "celeba" / "identity_CelebA.txt").read_text().splitlines()
    return [(name, int(identity)) for name, identity in (line.split() for line in lines)]


def test_without_thumbnails_no_folder_of_them_is_made(tmp_path: Path) -> None:
    dataclasses.replace(TINY, thumbnails=0).make(tmp_path / "faces", lambda line: None)
    assert [path.name for path in (tmp_path / "faces").iterdir()] == ["celeba"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("identities", 0), ("images", 0), ("other_images", 3), ("others", -1), ("seed", 1.5)],
)
def test_maker_rejects_bad_fields(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(TINY, **{field: value})  # type: ignore[arg-type]


def test_celeba_layout(made: Path) -> None:
    folder = made / "celeba"
    names = [f"{number:06d}.jpg" for number in range(1, 14)]
    assert sorted(path.name for path in (folder / "img_align_celeba").iterdir()) == names
    assert [name for name, _ in owners(made)] == names
    assert [identity for _, identity in owners(made)] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5]
    for name in names:
        with Image.open(folder / "img_align_celeba" / name) as image:
            assert image.size == (178, 218) and image.mode == "RGB" and image.format == "JPEG"


def test_attribute_files_agree(made: Path) -> None:
    folder = made / "celeba"
    count, header, *rows = (folder / "list_attr_celeba.txt").read_text().splitlines()
    truth = (folder / "identity_vectors.csv").read_text().splitlines()
    assert int(count) == len(rows) == 13
    assert truth[0].split(",") == ["identity", *ATTRIBUTES]
    vectors = {int(line.split(",")[0]): line.split(",")[1:] for line in truth[1:]}
    assert sorted(vectors) == [1, 2, 3, 4, 5]
    for row, (name, identity) in zip(rows, owners(made), strict=True):
        vector = torch.tensor([[float(x) for x in vectors[identity]]], dtype=torch.float64)
        assert torch.allclose(vector, identity_vectors([identity], seed=7), atol=1e-6)
        marks = binary_attributes(vector)
        assert header.split() == list(marks)
        assert row.split() == [name, *(str(mark.item()) for mark in marks.values())]


def test_ffhq_layout(made: Path) -> None:
    assert [path.name for path in sorted((made / "ffhq").glob("*/*"))] == ["00000.png", "00001.png"]
    with Image.open(made / "ffhq" / "00000" / "00001.png") as image:
        assert image.size == (128, 128) and image.mode == "RGB" and image.format == "PNG"
    lines = (made / "ffhq" / "identity_vectors.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["identity", "0", "1"]


def test_growing_keeps_the_bytes_of_every_image(made: Path, tmp_path: Path) -> None:
    bigger = dataclasses.replace(TINY, identities=4, images=4, other_images=3, thumbnails=3)
    bigger.make(tmp_path / "bigger", lambda line: None)

    def pictures(folder: Path) -> dict[tuple[int, int], bytes]:
        seen: dict[int, int] = {}
        found: dict[tuple[int, int], bytes] = {}
        for name, identity in owners(folder):
            number = seen[identity] = seen.get(identity, -1) + 1
            path = folder / "celeba" / "img_align_celeba" / name
            found[identity, number] = path.read_bytes()
        return found

    before, after = pictures(made), pictures(tmp_path / "bigger")
    assert len(after) == 4 * 4 + 2 * 3
    assert all(after[pair] == content for pair, content in before.items())
    first = "ffhq/00000/00001.png"
    assert (made / first).read_bytes() == (tmp_path / "bigger" / first).read_bytes()


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save, calls = images._save, []

    def failing(pixels: Tensor, path: Path, quality: int) -> None:
        calls.append(path)
        if len(calls) >= 9:
            raise OSError("disk full")
        save(pixels, path, quality)

    monkeypatch.setattr(images, "_save", failing)
    with pytest.raises(OSError, match="disk full"):
        TINY.make(tmp_path / "faces", lambda line: None)
    assert list(tmp_path.iterdir()) == []


def test_a_full_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("kept")
    with pytest.raises(FileExistsError):
        TINY.make(tmp_path, lambda line: None)
    assert (tmp_path / "kept.txt").read_text() == "kept"
