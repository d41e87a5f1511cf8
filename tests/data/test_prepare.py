"""From folders to tensors and a manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from smooth import picture
from trapmid.config.study import DataRow, Source
from trapmid.data import celeba as celeba_layout
from trapmid.data import ffhq as ffhq_layout
from trapmid.data import folders, sample
from trapmid.data import people as people_layout
from trapmid.data.listing import DataError
from trapmid.data.prepare import Prepared, prepare, to_csv
from trapmid.data.splits import SPLITS

Rows = Callable[..., DataRow]


@pytest.fixture
def row(data_row: Rows, celeba: Path, ffhq: Path) -> DataRow:
    return data_row(celeba, public=Source(reader="ffhq", path=str(ffhq)), public_images=6)


def run(row: DataRow) -> Prepared:
    return prepare(row, celeba_layout.Reader(), ffhq_layout.Reader())


def test_tensors(row: DataRow) -> None:
    prepared = run(row)
    private = prepared.private
    assert private["identities"].tolist() == [4, 5, 7]  # 5, 7 and 6 images
    assert private["test_labels"].tolist() == [0, 1, 2]
    assert private["val_labels"].tolist() == [0, 1, 2]
    assert private["train_labels"].tolist() == [0] * 3 + [1] * 5 + [2] * 4
    for name in ("train", "val", "test"):
        assert private[f"{name}_images"].shape == (len(private[f"{name}_labels"]), 3, 16, 16)
        assert private[f"{name}_images"].dtype == torch.uint8
        assert private[f"{name}_labels"].dtype == torch.int64
    assert prepared.public.shape == (6, 3, 16, 16)


def test_tensors_without_a_validation_split(row: DataRow) -> None:
    whole, prepared = run(row).private, run(replace(row, val_fraction=0.0)).private
    assert prepared["val_images"].shape == (0, 3, 16, 16)
    assert prepared["val_images"].dtype == torch.uint8
    assert prepared["val_labels"].shape == (0,) and prepared["val_labels"].dtype == torch.int64
    assert prepared["train_labels"].tolist() == [0] * 4 + [1] * 6 + [2] * 5
    assert torch.equal(prepared["test_images"], whole["test_images"])


def test_manifest_rows_are_the_tensors_rows(row: DataRow, celeba: Path) -> None:
    prepared = run(row)
    manifest = prepared.manifest
    parts = [prepared.private[f"{name}_images"] for name in ("train", "val", "test")]
    images = torch.cat([*parts, prepared.public])
    assert [r.split for r in manifest] == ["train"] * 12 + ["val"] * 3 + ["test"] * 3 + [
        "public"
    ] * 6
    for line, image in zip(manifest, images, strict=True):
        assert line.hash == hashlib.sha256(image.numpy().tobytes()).hexdigest()
        assert line.size == 16
    name = manifest[0].path.removeprefix("celeba/")
    assert torch.equal(images[0], celeba_layout.Reader().load(celeba / name, 16))
    assert manifest[0].identity == "celeba:4"
    assert manifest[0].label == "0"
    assert manifest[-1].path.startswith("ffhq/0")
    assert (manifest[-1].identity, manifest[-1].label) == ("", "")


def test_it_is_deterministic(row: DataRow) -> None:
    first, second = run(row), run(row)
    assert to_csv(first.manifest) == to_csv(second.manifest)
    assert torch.equal(first.public, second.public)
    assert sample.draw(first, "title") == sample.draw(second, "title")


def test_the_csv_starts_with_the_columns(row: DataRow) -> None:
    lines = to_csv(run(row).manifest).decode().splitlines()
    assert lines[0] == "path,identity,label,split,size,hash"
    assert len(lines) == 1 + 24


def test_one_source_gives_both_sides(data_row: Rows, celeba: Path) -> None:
    reader = celeba_layout.Reader()
    prepared = prepare(data_row(celeba, celeba, public_max_images=4), reader, reader)
    public = {line.identity for line in prepared.manifest if line.split == "public"}
    assert public == {"celeba:2", "celeba:9"}


def test_sources_say_how_many_images_nobody_sees(data_row: Rows, celeba: Path) -> None:
    reader = celeba_layout.Reader()
    made = {
        most: prepare(data_row(celeba, celeba, images_each=most), reader, reader)
        for most in (None, 4)
    }
    assert "undrawn" not in made[None].sources
    used = {
        most: sum(len(one.private[f"{s}_images"]) for s in SPLITS) for most, one in made.items()
    }
    assert made[4].sources["undrawn"] == used[None] - used[4] > 0


def test_two_folders_of_one_layout_keep_their_paths_apart(
    data_row: Rows, celeba: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "img_align_celeba").symlink_to(celeba / "img_align_celeba")
    (copy / "identity_CelebA.txt").write_text("000001.jpg 2\n000002.jpg 2\n")
    reader = celeba_layout.Reader()
    manifest = prepare(data_row(celeba, copy), reader, reader).manifest
    assert manifest[-1].path == "celeba-public/img_align_celeba/000002.jpg"
    assert len({line.path for line in manifest}) == len(manifest)


def test_public_people_have_the_numbers_of_their_own_reader(
    data_row: Rows, celeba: Path, tmp_path: Path
) -> None:
    """Person 5 of one reader is nobody whom another reader calls 5."""
    for name in ("Ada", "Bo"):
        (tmp_path / "people" / name).mkdir(parents=True)
        picture(20, 20, len(name)).save(tmp_path / "people" / name / "1.png")
    row = data_row(celeba, Source(reader="people", path=str(tmp_path / "people")))
    lines = prepare(row, celeba_layout.Reader(), people_layout.Reader()).manifest
    public = {line.path: line.identity for line in lines if line.split == "public"}
    assert public == {
        f"people/{name}/1.png": f"people:{folders.number(name)}" for name in ("Ada", "Bo")
    }
    private = {line.identity for line in lines if line.split != "public"}
    assert private == {"celeba:4", "celeba:5", "celeba:7"}


def test_a_scratch_folder_changes_nothing(row: DataRow, ffhq: Path, tmp_path: Path) -> None:
    """Neither when images are decoded into it, nor when another run finds them there."""
    for number in range(20):  # more than there are private ones
        picture(128, 128, number).save(ffhq / "00000" / f"{number:05d}.png")
    row = replace(row, public_images=None)
    readers = celeba_layout.Reader(), ffhq_layout.Reader()
    wanted = prepare(row, *readers)
    for _ in range(2):
        made = prepare(row, *readers, scratch=tmp_path / "scratch")
        assert made.manifest == wanted.manifest
        assert torch.equal(made.public, wanted.public)
        assert made.private.keys() == wanted.private.keys()
        for name, tensor in wanted.private.items():
            assert torch.equal(made.private[name], tensor), name


def test_a_corrupt_image_names_file_and_line(row: DataRow, celeba: Path) -> None:
    file = celeba / "img_align_celeba" / "000006.jpg"
    file.write_bytes(file.read_bytes()[:1500])
    with pytest.raises(DataError, match=r"000006\.jpg: corrupt .*\(identity_CelebA\.txt:6\)$"):
        run(row)


def test_a_missing_image_names_file_and_line(row: DataRow, celeba: Path) -> None:
    (celeba / "img_align_celeba" / "000007.jpg").unlink()
    with pytest.raises(DataError, match=r"000007\.jpg: no such image \(identity_CelebA\.txt:7\)$"):
        run(row)
