"""Crops of CelebA's photographs, larger pictures of FFHQ, and the split of the literature."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_rows import TINY
from PIL import Image

from smooth import picture
from trapmid.config import params
from trapmid.config.study import DataRow
from trapmid.data import celeba_hd, ffhq_hd, listing, shuffled, splits
from trapmid.data.listing import DataError, Entry
from trapmid.data.lists import Person
from trapmid.data.prepare import prepare

Rows = Callable[..., DataRow]
LIST = os.environ.get("TRAPMID_CELEBA_LIST", "data/external/celeba/identity_CelebA.txt")


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Three people with 7, 3 and 5 crops of 20 x 24 pixels, one of them a .png."""
    folder, lines = tmp_path / "images", []
    folder.mkdir()
    for identity in [5] * 7 + [3] * 3 + [9] * 5:
        name = f"{len(lines) + 1:06d}.jpg"
        file = folder / (name if len(lines) != 1 else "000002.png")
        picture(20, 24, len(lines)).save(file)
        lines.append(f"{name} {identity}")
    (tmp_path / "identity_CelebA.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_crops_are_read_from_either_format_and_made_square(crops: Path) -> None:
    entries = celeba_hd.Reader().entries(crops)
    assert [entry.file.name for entry in entries[:3]] == ["000001.jpg", "000002.png", "000003.jpg"]
    assert [entry.identity for entry in entries] == [5] * 7 + [3] * 3 + [9] * 5
    whole = np.asarray(Image.open(entries[1].file))
    wanted = Image.fromarray(whole[2:22]).resize((16, 16), Image.Resampling.BILINEAR)
    found = celeba_hd.Reader().load(entries[1].file, 16)
    assert np.array_equal(found.numpy(), np.asarray(wanted).transpose(2, 0, 1))


def test_the_aligned_set_is_refused(crops: Path) -> None:
    file = crops / "images" / "000001.jpg"
    picture(178, 218, 1).save(file)
    with pytest.raises(DataError, match=r"000001\.jpg: is 178x218, of the aligned set; .* 0\.65"):
        celeba_hd.Reader().load(file, 16)


def test_what_is_missing_or_too_small_is_named(crops: Path) -> None:
    with pytest.raises(DataError, match=r"000001\.jpg: is 20x24, must be at least 224x224"):
        celeba_hd.Reader().load(crops / "images" / "000001.jpg", 224)
    (crops / "images" / "000004.jpg").unlink()
    with pytest.raises(DataError, match=r"txt:4: no 000004\.jpg and no 000004\.png in .*images"):
        celeba_hd.Reader().entries(crops)


def test_the_middle_of_ffhq(tmp_path: Path) -> None:
    """800 of 1,024 pixels, so 200 of 256."""
    (tmp_path / "00000").mkdir()
    file = tmp_path / "00000" / "00007.png"
    picture(256, 256, 3).save(file)
    (entry,) = ffhq_hd.Reader().entries(tmp_path)
    whole = np.asarray(Image.open(file))
    wanted = Image.fromarray(whole[28:228, 28:228]).resize((64, 64), Image.Resampling.BILINEAR)
    found = ffhq_hd.Reader().load(entry.file, 64)
    assert np.array_equal(found.numpy(), np.asarray(wanted).transpose(2, 0, 1))
    with pytest.raises(DataError, match=r"is 256x256, must be square and have 287 pixels a side"):
        ffhq_hd.Reader().load(file, 224)


# --- the split ----------------------------------------------------------------------------------


def people(counts: dict[int, int]) -> list[Person]:
    """People whose files' names lie mixed, as in CelebA."""
    names = iter(np.random.default_rng(0).permutation(sum(counts.values())) + 1)
    return [
        Person(i, sorted(Entry(Path(f"{next(names):06d}.jpg"), i, "") for _ in range(n)))
        for i, n in counts.items()
    ]


def test_the_shuffle_is_the_published_one() -> None:
    """Written as the released code has it: the global generator, a list that is shuffled."""
    given = people({4: 12, 2: 9, 7: 9, 1: 5})
    names = sorted(entry.file.name for person in given for entry in person.entries)
    rows = list(range(len(names)))
    np.random.seed(42)  # noqa: NPY002
    np.random.shuffle(rows)  # noqa: NPY002
    test = {names[row] for row in rows[int(0.9 * len(rows)) :]}
    found = shuffled.split(given, 0.1)
    assert [person.identity for person in found] == [4, 2, 7, 1]
    assert {file.name for person in found for file in person.test or ()} == test
    told = shuffled.described(given, 0.1)
    order = ",".join(names[row] for row in rows[: int(0.9 * len(rows))])
    assert told["train_sha256"] == hashlib.sha256(order.encode()).hexdigest()
    assert told["people_sha256"] == hashlib.sha256(b"4,2,7,1").hexdigest()
    assert told["kind"] == "own"


def test_the_shuffle_takes_the_decimal_share() -> None:
    """Seven tenths of 90 pictures are 63; in floats (1 - 0.3) * 90 is 62.99999999999999."""
    given = people({4: 50, 2: 40})
    found = shuffled.split(given, 0.3)
    assert sum(len(person.test or ()) for person in found) == 27


def row(root: Path, **changes: Any) -> DataRow:
    source = {"reader": "celeba_hd", "path": str(root)}
    block = TINY | {
        "private": source,
        "public": source,
        "identities": 2,
        "private_order": "images",
        "test_split": "shuffled",
    }
    made: DataRow = params.build(DataRow, block | changes, "data.x")
    return made


def test_people_may_have_no_test_image(crops: Path) -> None:
    """Of twelve images the shuffle leaves the fourth and the seventh: both of one person."""
    reader = celeba_hd.Reader()
    made = prepare(row(crops), reader, reader)
    assert made.private["identities"].tolist() == [5, 9]  # by images, 7 and 5
    assert made.private["test_labels"].tolist() == [0, 0]
    tested = {line.path[-10:-4] for line in made.manifest if line.split == "test"}
    assert tested == {"000004", "000007"}
    assert made.sources["people_without_test"] == 1
    assert made.sources["shuffled"]["kind"] == "own"
    plain = prepare(row(crops, test_split="stratified"), reader, reader)
    assert "shuffled" not in plain.sources and "people_without_test" not in plain.sources
    assert plain.private["test_labels"].tolist() == [0, 1]


def test_lists_and_a_shuffle_exclude_each_other(crops: Path) -> None:
    lists = {"train": "train.txt", "test": "test.txt"}
    with pytest.raises(ValueError, match=r"data\.x\.test_split: shuffled, but lists say"):
        row(crops, lists=lists)


@pytest.mark.skipif(not Path(LIST).is_file(), reason=f"no {LIST}: CelebA's list is not ours")
def test_the_published_digests() -> None:
    """Of all of CelebA: the people, their order, the training and the test pictures."""
    named = listing.read_list(Path(LIST))
    if len(named) != 202_599:
        pytest.skip("a part of CelebA's list")
    entries = [Entry(Path(name), identity, line) for name, identity, line in named]
    whole = row(Path(), identities=1000, min_images=30)
    chosen = splits.plan(entries, entries, whole)
    assert chosen.shuffled is not None and chosen.shuffled["kind"] == "official"
    assert sum(not part.test for part in chosen.parts) == 49
