"""One picture under several names: it stays on one side and in one split."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trapmid.config.study import DataRow, Source, Validation
from trapmid.data.celeba import Reader
from trapmid.data.contract import check
from trapmid.data.listing import DataError, Entry
from trapmid.data.prepare import Prepared, prepare, to_csv
from trapmid.data.splits import Plan, plan
from trapmid.data.tables import read_manifest
from trapmid.data.twins import Sides, by_name, shared

Rows = Callable[..., DataRow]


def entries(counts: dict[int, int]) -> list[Entry]:
    return [
        Entry(Path(f"img/{identity:02d}_{index:02d}.jpg"), identity, "")
        for identity, count in counts.items()
        for index in range(count)
    ]


def planned(found: Sequence[Entry], row: DataRow, *groups: Sequence[str]) -> Plan:
    """The files of a group show the same picture."""

    def pictures(asked: Sequence[Entry]) -> dict[Path, str]:
        first = {name: group[0] for group in groups for name in group}
        return {entry.file: first.get(entry.file.stem, entry.file.stem) for entry in asked}

    return plan(found, found, row, pictures=Sides(pictures, pictures))


def split_of(plan: Plan, name: str) -> str:
    return next(
        split
        for parts in plan.parts
        for split in parts._fields
        if name in [entry.file.stem for entry in getattr(parts, split)]
    )


@pytest.mark.parametrize("seed", range(10))
def test_copies_of_one_person_are_in_one_split(data_row: Rows, seed: int) -> None:
    pair = ("01_02", "01_07")
    found = entries({1: 30, 2: 30, 3: 30, 4: 2})
    row = data_row(seed=seed)
    plans = planned(found, row, pair), plan(found, found, row)
    assert split_of(plans[0], "01_02") == split_of(plans[0], "01_07")
    files = [e.file for part in plans[0].parts[0] for e in part]
    assert len(files) == len(set(files)) == 30
    assert plans[0].parts[1:] == plans[1].parts[1:]  # others are split as without them
    assert len(plans[0].parts[0].test) in (3, 4)  # a tenth, and perhaps a copy


@pytest.mark.parametrize("seed", range(5))
def test_a_picture_of_two_private_people_is_trained_on(data_row: Rows, seed: int) -> None:
    found = entries({1: 30, 2: 30, 3: 30, 4: 2})
    groups = [(f"01_{n:02d}", f"02_{n:02d}") for n in range(9)]
    made = planned(found, data_row(seed=seed), *groups)
    assert {split_of(made, name) for group in groups for name in group} == {"train"}
    files = [entry.file for parts in made.parts for part in parts for entry in part]
    assert len(files) == len(set(files)) == 90  # each is in one place alone
    assert [len(parts.test) for parts in made.parts] == [3, 3, 3]


def test_a_copy_of_a_private_picture_is_not_public_and_another_comes(data_row: Rows) -> None:
    found = entries({1: 5, 2: 5, 3: 5, 4: 4, 5: 4})
    row = data_row(public_images=6)
    before = plan(found, found, row)
    gone = before.public[2]
    made = planned(found, row, ("02_03", gone.file.stem))
    assert made.copies == [gone] and before.copies == []
    assert len(made.public) == 6 and set(before.public) - set(made.public) == {gone}
    assert made.public == sorted(made.public)


def test_a_link_to_a_private_file_is_no_copy_of_it(data_row: Rows, tmp_path: Path) -> None:
    """Copies are left out; one file under both sources is a mistake that somebody must hear of."""
    found = [one._replace(file=tmp_path / one.file.name) for one in entries({1: 5, 2: 5, 3: 5})]
    found[0].file.touch()
    (tmp_path / "linked.png").symlink_to(found[0].file)
    public = [Entry(tmp_path / name, None, "") for name in ("linked.png", "other.png")]

    def pictures(asked: Sequence[Entry]) -> dict[Path, str]:
        return {entry.file: entry.file.resolve().name for entry in asked}

    row = data_row(public=Source(reader="ffhq", path="b"))
    with pytest.raises(DataError, match=r"linked\.png: the same file is private"):
        plan(found, public, row, pictures=Sides(pictures, pictures))


def test_too_few_public_images_remain(data_row: Rows) -> None:
    found = entries({1: 5, 2: 5, 3: 5, 4: 4})
    with pytest.raises(DataError, match="3 of 19 images may be public, 4 are wanted"):
        planned(found, data_row(public_images=4), ("01_00", "04_00"))
    everything = planned(found, data_row(), ("01_00", "04_00"))
    assert [entry.file.stem for entry in everything.public] == ["04_01", "04_02", "04_03"]


def test_too_few_different_pictures(data_row: Rows) -> None:
    found = entries({1: 5, 2: 5, 3: 5, 4: 4})
    one = [f"01_0{n}" for n in range(4)]
    with pytest.raises(DataError, match=r"1 \(01_00\.jpg and 4 more\) has 2 different pict"):
        planned(found, data_row(), one)


def test_what_groups_share() -> None:
    groups = [entries({1: 3}), entries({2: 2})]
    shown = by_name([entry for group in groups for entry in group])
    assert shared(groups, shown) == frozenset()
    shown[groups[0][0].file] = shown[groups[0][1].file]  # copies of one person are not shared
    assert shared(groups, shown) == frozenset()
    shown[groups[1][1].file] = shown[groups[0][2].file]
    assert shared(groups, shown) == {str(groups[0][2].file)}


# --- on disk ------------------------------------------------------------------------------------


def copied(root: Path, source: int, *copies: int) -> None:
    for number in copies:
        folder = root / "img_align_celeba"
        shutil.copyfile(folder / f"{source:06d}.jpg", folder / f"{number:06d}.jpg")


def splits(made: Prepared) -> dict[str, str]:
    return {row.path[-10:-4]: row.split for row in made.manifest}


@pytest.fixture
def twins(celeba: Path) -> Path:
    """Images 4 to 8 show person 4, 9 to 14 person 7, 15 to 21 person 5, 1 to 3 person 2."""
    copied(celeba, 9, 10, 11)
    copied(celeba, 4, 15)
    copied(celeba, 5, 2)
    return celeba


@pytest.mark.slow
def test_a_folder_with_twins_keeps_the_contract(
    row: DataRow, bounds: Validation, twins: Path
) -> None:
    for seed in range(3):
        made = prepare(replace(row, seed=seed), Reader(), Reader())
        where = splits(made)
        assert where["000009"] == where["000010"] == where["000011"]
        assert where["000004"] == where["000015"] == "train"
        assert "000002" not in where
        assert made.sources["public_copies"] == ["img_align_celeba/000002.jpg"]
        table = read_manifest(to_csv(made.manifest))
        verdict = check("toy", row, bounds, table, made.private, made.public)
        assert verdict.success, verdict.failures()
        assert verdict.content["private_twins"] == 5


def test_tensors_are_the_manifests_rows_when_another_image_comes(row: DataRow, twins: Path) -> None:
    row = replace(row, public_images=10)
    assert len(prepare(row, Reader(), Reader()).public) == 10  # all there are
    (twins / "img_align_celeba" / "000002.jpg").unlink()
    copied(twins, 1, 2)
    copied(twins, 5, 1, 22)
    made = prepare(replace(row, public_images=6), Reader(), Reader())
    public = [line for line in made.manifest if line.split == "public"]
    for line, image in zip(public, made.public, strict=True):
        file = twins / line.path.removeprefix("celeba/")
        assert torch.equal(image, Reader().load(file, 16))
