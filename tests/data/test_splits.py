"""Who is private and who is public."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path

import pytest

from trapmid.config import params
from trapmid.config.study import DataRow, Lists, Source
from trapmid.data import splits
from trapmid.data.listing import DataError, Entry
from trapmid.data.splits import Parts, check_disjoint, plan
from trapmid.data.twins import Sides

Rows = Callable[..., DataRow]


def people(counts: dict[int, int], folder: str = "img") -> list[Entry]:
    entries = []
    for identity, count in counts.items():
        for index in range(count):
            name = f"{identity:04d}_{index:03d}.jpg"
            entries.append(Entry(Path(folder) / name, identity, f"list.txt:{len(entries) + 1}"))
    return entries


def strangers(count: int) -> list[Entry]:
    return [Entry(Path(f"thumbs/{number:05d}.png"), None, "") for number in range(count)]


def sizes(parts: Parts) -> tuple[int, int, int]:
    return len(parts.train), len(parts.val), len(parts.test)


def test_the_first_able_identities_are_private_in_ascending_order(data_row: Rows) -> None:
    entries = people({30: 5, 4: 4, 21: 9, 5: 6, 100: 5})
    assert plan(entries, entries, data_row()).identities == (5, 21, 30)


def test_who_has_most_images_may_come_first(data_row: Rows) -> None:
    """PPA's rule (high-resolution track): by count, of equals who appears first in the list."""
    lines = [
        17,
        4,
        9,
        9,
        4,
        17,
        4,
        9,
        30,
        30,
        30,
        30,
    ]  # 12 lines: 17 has 2, 4 and 9 have 3, 30 has 4
    entries = [Entry(Path(f"img/{n:06d}.jpg"), who, "") for n, who in enumerate(lines, start=1)]
    row = data_row(min_images=3, private_order="images", val_fraction=0.0)
    assert plan(entries, entries, row).identities == (30, 4, 9)
    backwards = [Entry(Path(f"img/{99 - n:06d}.jpg"), who, "") for n, who in enumerate(lines)]
    assert plan(backwards, backwards, row).identities == (30, 9, 4)
    assert plan(entries, entries, data_row(min_images=3, val_fraction=0.0)).identities == (4, 9, 30)


@pytest.mark.parametrize(
    ("images", "test"), [(30, 3), (31, 4), (34, 4), (35, 4), (9, 1), (10, 1), (11, 2)]
)
def test_a_tenth_rounded_up_is_for_test(data_row: Rows, images: int, test: int) -> None:
    """30 -> 3 and 31, 34, 35 -> 4 are the paper's lists."""
    entries = people({1: images, 2: 5, 3: 5, 9: 1})
    parts = plan(entries, entries, data_row()).parts[0]
    val = ceil((images - test) / 10)
    assert sizes(parts) == (images - test - val, val, test)


@pytest.mark.slow
def test_the_papers_counts(data_row: Rows) -> None:
    """27,018 and 3,009 images of 1,000 people: the lists of Liu and Chen, and how many images the
    people on them have (991 have 30, four 31, two 34, three 35)."""
    counts = {31: 4, 34: 2, 35: 3}
    of_each = [n for n, people_with in counts.items() for _ in range(people_with)] + [30] * 991
    entries = people({2 * who: n for who, n in enumerate(of_each[::-1])} | {1: 29, 5000: 31})
    row = data_row(identities=1000, min_images=30, val_fraction=0.0, public_max_images=29)
    parts = plan(entries, entries, row).parts
    assert len(parts) == 1000
    assert sum(len(part.train) for part in parts) == 27_018
    assert sum(len(part.test) for part in parts) == 3_009
    assert not any(part.val for part in parts)


def test_shares_are_of_the_decimal_fraction(data_row: Rows) -> None:
    """In floats 0.07 * 100 is 7.000000000000001: there would be an eighth image."""
    entries = people({1: 100, 2: 101, 3: 5, 9: 1})
    chosen = plan(entries, entries, data_row(test_fraction=0.07))
    assert [sizes(parts) for parts in chosen.parts] == [(83, 10, 7), (83, 10, 8), (3, 1, 1)]


def test_people_with_too_many_images_are_not_private(data_row: Rows) -> None:
    entries = people({1: 9, 2: 5, 3: 8, 4: 7, 5: 4})
    chosen = plan(entries, entries, data_row(max_images=8))
    assert chosen.identities == (2, 3, 4)
    message = r"^a: 3 of 5 identities .* 5 images \(min_images\), at most 8 \(max_images\), 4 are"
    with pytest.raises(DataError, match=message):
        plan(entries, entries, data_row(max_images=8, identities=4))


def test_of_who_has_more_images_some_are_drawn_and_the_others_nobody_sees(data_row: Rows) -> None:
    entries = people({1: 30, 2: 31, 3: 12, 4: 2})
    row = data_row(images_each=20, public_max_images=None)
    result = plan(entries, entries, row)
    assert [sum(sizes(parts)) for parts in result.parts] == [20, 20, 12]
    assert {entry.identity for entry in result.public} == {4}
    for parts, identity in zip(result.parts, result.identities, strict=True):
        drawn = sorted(entry for part in parts for entry in part)
        own = [entry for entry in entries if entry.identity == identity]
        assert set(drawn) <= set(own) and len(set(drawn)) == len(drawn)
        assert len(own) == len(drawn) or drawn != own[: len(drawn)]  # not the first ones
    more = people({1: 30, 2: 40, 3: 12, 4: 2})
    assert plan(more, more, row).parts[0] == result.parts[0]  # another person's are not asked
    other = plan(entries, entries, dataclasses.replace(row, seed=row.seed + 1))
    assert other.parts[0] != result.parts[0]


def test_what_an_image_that_nobody_sees_shows_is_not_public(data_row: Rows) -> None:
    """The private person would be public under another name."""
    entries = people({1: 30, 2: 31, 3: 12, 4: 2})
    result = plan(entries, entries, data_row(images_each=20))
    used = {entry.file for parts in result.parts for part in parts for entry in part}
    unseen = next(e for e in entries if e.identity == 1 and e.file not in used)
    (copy,) = (e for e in entries if e.file.name == "0004_000.jpg")

    def contents(asked: Sequence[Entry]) -> dict[Path, str]:
        return {e.file: str(unseen.file if e == copy else e.file) for e in asked}

    twins = Sides(contents, contents)
    again = plan(entries, entries, data_row(images_each=20), None, twins)
    assert again.copies == [copy] and copy not in again.public


def test_what_an_unseen_image_of_another_person_shows_is_no_test_image(data_row: Rows) -> None:
    """One of both names is wrong, nobody knows which: it is trained on."""
    entries = people({1: 30, 2: 31, 3: 12, 4: 2})
    row = data_row(images_each=20)
    result = plan(entries, entries, row)
    used = {entry.file for parts in result.parts for part in parts for entry in part}
    unseen = next(e for e in entries if e.identity == 2 and e.file not in used)
    tested = result.parts[0].test[0]

    def contents(asked: Sequence[Entry]) -> dict[Path, str]:
        return {e.file: str(unseen.file if e == tested else e.file) for e in asked}

    again = plan(entries, entries, row, None, Sides(contents, contents))
    assert tested in again.parts[0].train


def test_a_file_that_nobody_sees_is_not_public_either(data_row: Rows) -> None:
    """Under another layout its pixels are cut in another way, and would not tell."""
    entries = people({1: 30, 2: 31, 3: 12})
    row = data_row(public=Source(reader="flat", path="a"), images_each=20)
    used = {
        e.file for parts in plan(entries, strangers(9), row).parts for part in parts for e in part
    }
    unseen = next(e for e in entries if e.identity == 1 and e.file not in used)
    with pytest.raises(DataError, match=r"the same file is private .* and public"):
        plan(entries, [*strangers(9), Entry(unseen.file, None, "")], row)


def test_so_many_images_of_those_who_have_most(data_row: Rows) -> None:
    entries = people({1: 30, 2: 31, 3: 12, 4: 2})
    row = data_row(images_each=10, private_order="images", identities=2)
    result = plan(entries, entries, row)
    assert result.identities == (2, 1) and result.undrawn == 21 + 20
    mixed = plan(entries, entries, dataclasses.replace(row, test_split="shuffled"))
    assert [sum(sizes(parts)) for parts in mixed.parts] == [10, 10] and mixed.undrawn == 41


def test_lists_say_which_images_there_are(data_row: Rows) -> None:
    lists = Lists(train="train.txt", test="test.txt")
    with pytest.raises(ValueError, match="images_each: 20, but lists say which images there are"):
        data_row(images_each=20, lists=lists)


def test_splits_are_disjoint_and_complete(data_row: Rows) -> None:
    entries = people({1: 30, 2: 31, 3: 12, 4: 2})
    result = plan(entries, entries, data_row())
    files = [entry.file for parts in result.parts for part in parts for entry in part]
    files += [entry.file for entry in result.public]
    assert sorted(files) == sorted(entry.file for entry in entries)


def test_the_draw_is_random_but_repeatable(data_row: Rows) -> None:
    entries = people({1: 30, 2: 30, 3: 30, 4: 2})
    first = plan(entries, entries, data_row())
    assert plan(entries[::-1], entries[::-1], data_row()) == first  # no matter the list's order
    assert plan(entries, entries, data_row(seed=1)).parts != first.parts
    chosen = {tuple(int(entry.file.stem[-3:]) for entry in parts.test) for parts in first.parts}
    assert len(chosen) == 3  # every identity has a stream of its own


def test_more_identities_change_nobodys_split(data_row: Rows) -> None:
    small, large = people({2: 12, 5: 9, 9: 8, 11: 2}), people({i: 7 + i for i in range(2, 30)})
    few = plan(small, small, data_row())
    grown = people({1: 20, 2: 12, 3: 30, 5: 9, 9: 8, 10: 7, 11: 2})
    many = plan(grown, grown, data_row(identities=5))
    kept = dict(zip(many.identities, many.parts, strict=True))
    names = [[[entry.file for entry in part] for part in parts] for parts in few.parts]
    again = [[[e.file for e in part] for part in kept[i]] for i in few.identities]
    assert names == again
    assert plan(large, large, data_row(identities=20)).parts[:5] == (
        plan(large, large, data_row(identities=5)).parts
    )


def test_public_are_the_others(data_row: Rows) -> None:
    entries = people({1: 5, 2: 5, 3: 5, 4: 8, 5: 2, 6: 4})

    def public(**changes: int) -> set[int | None]:
        return {e.identity for e in plan(entries, entries, data_row(**changes)).public}

    assert public() == {4, 5, 6}
    assert public(public_max_images=4) == {5, 6}
    assert public(public_max_images=4, public_above=5) == {6}


@pytest.mark.parametrize(
    ("own", "others", "able"),
    [
        ("celeba", "celeba", {9}),
        ("celeba", "celeba_hd", {9}),
        ("celeba_hd", "celeba", {9}),
        ("lfw", "people", {9}),
        ("people", "lfw", {9}),
        ("celeba", "people", {1, 9}),
        ("celeba", "facescrub", {1, 9}),
    ],
)
def test_the_same_numbers_mean_the_same_people_where_readers_number_alike(
    data_row: Rows, own: str, others: str, able: set[int]
) -> None:
    private, public = people({1: 5, 2: 5, 3: 5}), people({1: 5, 9: 5}, folder="elsewhere")
    row = data_row(private=Source(reader=own, path="a"), public=Source(reader=others, path="b"))
    made = plan(private, public, row)
    assert {entry.identity for entry in made.public} == able
    assert made.left_out == (5 if able == {9} else 0)


def test_strangers_are_all_public(data_row: Rows) -> None:
    row = data_row(public=Source(reader="ffhq", path="b"), public_max_images=1, public_above=7)
    assert plan(people({1: 5, 2: 5, 3: 5}), strangers(20), row).public == strangers(20)


def test_public_images_are_drawn_without_replacement_in_order(data_row: Rows) -> None:
    private = people({1: 5, 2: 5, 3: 5})
    ffhq = Source(reader="ffhq", path="b")

    def draw(seed: int) -> list[Entry]:
        row = data_row(public=ffhq, public_images=30, seed=seed)
        return plan(private, strangers(100), row).public

    assert len(set(draw(0))) == 30
    assert draw(0) == sorted(draw(0))
    assert draw(0) == draw(0)
    assert draw(0) != draw(1)


def test_where_one_file_goes_one_other_comes(data_row: Rows) -> None:
    """A near twin that is taken off the list does not change who else is public."""
    row = data_row(public=Source(reader="ffhq", path="b"), public_images=30)
    private, files = people({1: 5, 2: 5, 3: 5}), strangers(100)
    before = plan(private, files, row).public
    gone = before[7]
    after = plan(private, [file for file in files if file != gone], row).public
    assert len(after) == 30 and set(before) - set(after) == {gone}
    elsewhere = [entry._replace(file=Path("/disk") / entry.file) for entry in files]
    assert [e.file.name for e in plan(private, elsewhere, row).public] == [
        e.file.name for e in before
    ]


def test_too_few_identities(data_row: Rows) -> None:
    entries = people({1: 5, 2: 4, 3: 5})
    with pytest.raises(DataError, match=r"^a: 2 of 3 identities have at least 5 .* 3 are wanted"):
        plan(entries, entries, data_row())


def test_too_few_public_images(data_row: Rows) -> None:
    entries = people({1: 5, 2: 5, 3: 5, 4: 2})
    with pytest.raises(DataError, match=r"2 of 17 images may be public, 9 are wanted"):
        plan(entries, entries, data_row(public_images=9))
    with pytest.raises(DataError, match=r"0 of 17 images may be public, 1 are wanted"):
        plan(entries, entries, data_row(public_max_images=1))


def test_without_a_validation_split_its_images_are_trained_on(data_row: Rows) -> None:
    """And the test images are the same ones."""
    entries = people({1: 30, 2: 31, 3: 9, 4: 2})
    with_val, without = (plan(entries, entries, data_row(val_fraction=f)) for f in (0.1, 0.0))
    for whole, part in zip(without.parts, with_val.parts, strict=True):
        assert whole.val == [] and part.val
        assert whole.test == part.test
        assert whole.train == sorted(part.train + part.val)
    assert without.public == with_val.public


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"val_fraction": -0.1}, r"val_fraction: -0\.1 is outside \[0, 0\.5\)"),
        ({"val_fraction": 0.5}, r"val_fraction: 0\.5 is outside \[0, 0\.5\)"),
        ({"test_fraction": 0.0}, r"test_fraction: 0\.0 is outside \(0, 0\.5\)"),
    ],
)
def test_wrong_fractions(data_row: Rows, changes: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        params.build(DataRow, dataclasses.asdict(data_row()) | changes, "data.x")


def test_a_class_without_training_images(data_row: Rows) -> None:
    entries = people({1: 3, 2: 9, 3: 9})
    row = data_row(min_images=3, test_fraction=0.4, val_fraction=0.4)
    with pytest.raises(
        DataError, match=r"1 \(.* and 2 more\) has 3 different pictures: 2 for test"
    ):
        plan(entries, entries, row)


def test_images_without_identity_cannot_be_private(data_row: Rows) -> None:
    with pytest.raises(DataError, match=r"a: cannot be private: 00000\.png has no identity"):
        plan(strangers(9), strangers(9), data_row())


def test_an_overlap_is_named() -> None:
    private, public = people({1: 2}), people({1: 1, 2: 1}, folder="other")
    with pytest.raises(DataError, match=r"list\.txt:1: identity 1 is public here, private in "):
        check_disjoint(private, public, same_people=True)
    check_disjoint(private, public, same_people=False)
    with pytest.raises(DataError, match=r"list\.txt:2: the same file is private"):
        check_disjoint(private, private[1:], same_people=False)


def test_one_file_in_two_sources_is_refused(data_row: Rows, tmp_path: Path) -> None:
    """Another reader, so the numbers say nothing; a link leads to a private file."""
    private = people({1: 5, 2: 5, 3: 5}, folder=str(tmp_path))
    private[0].file.touch()
    (tmp_path / "linked.png").symlink_to(private[0].file)
    public = [Entry(tmp_path / "linked.png", None, "")]
    with pytest.raises(DataError, match=r"linked\.png: the same file is private \(list\.txt:1\)"):
        plan(private, public, data_row(public=Source(reader="ffhq", path="b")))


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "a.png")
    public = [Entry(tmp_path / "a.png", None, "")]
    with pytest.raises(DataError, match=r"a\.png leads to no file"):
        check_disjoint(people({1: 1}), public, same_people=False)


def test_images_left_out_by_a_number_of_another_folder_are_counted(data_row: Rows) -> None:
    private, public = people({1: 5, 2: 5, 3: 5}), people({1: 4, 3: 2, 8: 6}, folder="other")
    assert plan(private, public, data_row("a", "b")).left_out == 6
    assert plan(private, private + people({8: 6}), data_row("a", "a")).left_out == 0


def test_names_of_the_splits_are_the_parts() -> None:
    assert Parts._fields == splits.SPLITS
