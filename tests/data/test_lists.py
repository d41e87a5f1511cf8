"""Lists that say who is private and what is public."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from trapmid.config.study import DataRow, Lists, Source
from trapmid.data.celeba import Reader
from trapmid.data.ffhq import Reader as FfhqReader
from trapmid.data.flat import Reader as FlatReader
from trapmid.data.listing import DataError
from trapmid.data.lists import OFFICIAL, kind
from trapmid.data.people import Reader as PeopleReader
from trapmid.data.prepare import Prepared, prepare

Rows = Callable[..., DataRow]

# In the fixture `celeba`: images 1 to 3 show person 2, 4 to 8 person 4, 9 to 14 person 7, 15 to 21
# person 5, 22 to 26 person 8, 27 to 29 person 9. Labels need not follow the numbers of people.
TRAIN = {12: 1, 9: 1, 10: 1, 4: 0, 5: 0, 6: 0, 8: 0}
TEST = {7: 0, 14: 1, 13: 1}
PUBLIC = [29, 22, 15, 1]


def name(number: int) -> str:
    return f"{number:06d}.jpg"


def labelled(content: dict[int, int]) -> str:
    return "".join(f"{name(number)} {label}\n" for number, label in content.items())


@pytest.fixture
def lists(celeba: Path, data_row: Rows) -> DataRow:
    (celeba / "train.txt").write_text(labelled(TRAIN))
    (celeba / "test.txt").write_text(labelled(TEST))
    (celeba / "public.txt").write_text("".join(f"{name(number)}\n" for number in PUBLIC))
    given = Lists(train="train.txt", test="test.txt", public="public.txt")
    return data_row(celeba, celeba, identities=2, val_fraction=0.0, lists=given)


def run(row: DataRow) -> Prepared:
    return prepare(row, Reader(), Reader())


def places(made: Prepared) -> dict[str, list[tuple[int, str]]]:
    """Per split: number of the image, and its label."""
    return {
        split: [(int(r.path[-10:-4]), r.label) for r in made.manifest if r.split == split]
        for split in ("train", "val", "test", "public")
    }


def test_everything_is_where_the_lists_say(lists: DataRow) -> None:
    made = run(lists)
    where = places(made)
    assert dict(where["train"]) == {number: str(label) for number, label in TRAIN.items()}
    assert dict(where["test"]) == {number: str(label) for number, label in TEST.items()}
    assert [number for number, _ in where["public"]] == sorted(PUBLIC)
    assert made.private["identities"].tolist() == [4, 7]
    assert made.sources["people_sha256"] == hashlib.sha256(b"4,7").hexdigest()
    text = (Path(lists.private.path) / "train.txt").read_bytes()
    md5 = hashlib.md5(text).hexdigest()
    assert made.sources["rule"] == "lists"
    assert made.sources["lists"][0] == {"file": "train.txt", "md5": md5, "kind": "own list"}


def test_validation_images_are_drawn_of_the_training_images(lists: DataRow, data_row: Rows) -> None:
    row = data_row(
        lists.private.path, lists.private.path, identities=2, val_fraction=0.25, lists=lists.lists
    )
    where = places(run(row))
    assert dict(where["test"]) == {number: str(label) for number, label in TEST.items()}
    assert dict(where["train"] + where["val"]) == {n: str(label) for n, label in TRAIN.items()}
    assert [label for _, label in where["val"]] == ["0", "1"]  # ceil(0.25 * 4), ceil(0.25 * 3)


def test_without_a_public_list_the_rule_draws(lists: DataRow, data_row: Rows) -> None:
    given = Lists(train="train.txt", test="test.txt")
    path = lists.private.path
    row = data_row(path, path, identities=2, val_fraction=0.0, lists=given, public_max_images=3)
    assert [number for number, _ in places(run(row))["public"]] == [1, 2, 3, 27, 28, 29]


def test_a_list_that_the_row_contradicts_is_refused(lists: DataRow) -> None:
    """Images 22 and 15 show people of 5 and 7 images."""
    words = (
        r"names 2 that public_max_images or public_above leaves out, first identity_Ce\w+.txt:15"
    )
    with pytest.raises(DataError, match=words):
        run(replace(lists, public_max_images=3))
    with pytest.raises(DataError, match="names 1 that public_max_images or public_above leaves"):
        run(replace(lists, public_above=2))
    assert len(places(run(replace(lists, public_max_images=7, public_above=1)))["public"]) == 4


def test_a_list_longer_than_the_public_set_is_refused(lists: DataRow) -> None:
    """It says who is public; which of them to leave out, nobody said."""
    with pytest.raises(DataError, match=r"list of public images names 4, 3 are wanted .*null"):
        run(replace(lists, public_images=3))
    assert len(places(run(replace(lists, public_images=4)))["public"]) == 4


def test_a_copy_in_a_public_list_is_left_out_and_nothing_comes_for_it(lists: DataRow) -> None:
    """As in the literature's: it names as many as are wanted, and has no next one."""
    folder = Path(lists.private.path) / "img_align_celeba"
    (folder / name(29)).write_bytes((folder / name(12)).read_bytes())
    made = run(replace(lists, public_images=4))
    assert [number for number, _ in places(made)["public"]] == [1, 15, 22]


def test_accents_may_be_written_as_macos_does(tmp_path: Path, data_row: Rows) -> None:
    """A folder from there, and a list that was typed elsewhere."""
    for number, person in enumerate(("Jose\u0301", "Ann")):
        for picture in range(3):
            file = tmp_path / "people" / person / f"a {picture}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), (40 * picture, 90 * number, 7)).save(file)
    (tmp_path / "others").mkdir()
    Image.new("RGB", (16, 16), (1, 2, 3)).save(tmp_path / "others/x.png")
    text = "Jos\u00e9/a 0.png,0\nJos\u00e9/a 1.png,0\nAnn/a 0.png,1\nAnn/a 1.png,1\n"
    (tmp_path / "people/train.txt").write_text(text)
    (tmp_path / "people/test.txt").write_text("Jos\u00e9/a 2.png,0\nAnn/a 2.png,1\n")
    given = Lists(train="train.txt", test="test.txt")
    row = data_row(
        tmp_path / "people", tmp_path / "others", identities=2, val_fraction=0.0, lists=given
    )
    made = prepare(row, PeopleReader(), FlatReader())
    assert [len(rows) for rows in places_of(made).values()] == [4, 0, 2, 1]


def places_of(made: Prepared) -> dict[str, list[str]]:
    return {
        split: [row.path for row in made.manifest if row.split == split]
        for split in ("train", "val", "test", "public")
    }


def test_lists_of_png_names_fit_jpg_files(lists: DataRow) -> None:
    for file in Path(lists.private.path).glob("*.txt"):
        if file.name != "identity_CelebA.txt":
            file.write_text(file.read_text().replace(".jpg", ".png"))
    assert len(places(run(lists))["test"]) == 3


def test_a_test_image_that_is_a_copy_of_a_training_image_joins_it(lists: DataRow) -> None:
    folder = Path(lists.private.path) / "img_align_celeba"
    (folder / name(13)).write_bytes((folder / name(9)).read_bytes())
    where = places(run(lists))
    assert (13, "1") in where["train"]
    assert dict(where["test"]) == {7: "0", 14: "1"}


def edited(row: DataRow, file: str, old: str, new: str) -> DataRow:
    path = Path(row.private.path) / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return row


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("train.txt", "000012.jpg", "000099.jpg", r"train\.txt:1: 000099\.jpg is not among"),
        ("public.txt", "000029", "000099", r"public\.txt:1: 000099\.jpg is not among the images"),
        ("test.txt", "000014", "000012", r"test\.txt:2: 000012\.jpg is in train\.txt:1 already"),
        ("test.txt", "000014", "000013", r"test\.txt:3: 000013\.jpg is on line 2 already"),
        ("test.txt", "000014", "000015", "label 1 is identity 5 here, in train.txt:1 label 1 is"),
        ("test.txt", "13.jpg 1", "13.jpg 0", "label 0 is identity 7 here, in train.txt:4 label 0"),
        ("train.txt", "12.jpg 1", "12.jpg x", r"train\.txt:1: must be '<file name> <label>', is"),
        ("public.txt", "000029.jpg", "000029.jpg 3", r"public\.txt:1: must be '<file name>', is"),
        ("public.txt", "000001", "000011", "identity 7 is public here, private in identity_Cele"),
        ("public.txt", "000001", "000004", "the same file is private"),
        ("public.txt", "000001.jpg", "../000001.jpg", r"public\.txt:4: must be '<file name>', is"),
    ],
)
def test_a_wrong_line_is_named(lists: DataRow, file: str, old: str, new: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        run(edited(lists, file, old, new))
    assert "\n" not in str(caught.value)


def test_labels_have_no_gap(lists: DataRow) -> None:
    for file in ("train.txt", "test.txt"):
        edited(lists, file, " 1\n", " 2\n")
    with pytest.raises(DataError, match=r"labels must be 0 to 1, .* is 2; 1 is missing"):
        run(lists)


def test_a_person_only_in_the_test_list_is_refused(lists: DataRow) -> None:
    edited(lists, "test.txt", "000014.jpg 1\n", "000014.jpg 1\n000016.jpg 2\n")
    with pytest.raises(DataError, match=r"train\.txt: its labels must be 0 to 1, .*; 2 is there"):
        run(lists)


@pytest.mark.parametrize("train", ["/disk/train.txt", "../train.txt"])
def test_a_list_stands_in_the_folder_of_its_data(
    lists: DataRow, data_row: Rows, train: str
) -> None:
    given = Lists(train=train, test="test.txt")
    with pytest.raises(DataError, match="a list must stand in"):
        run(data_row(lists.private.path, lists.private.path, identities=2, lists=given))


@pytest.mark.parametrize("listed", ["00000/00995.png", "00995.png"])
def test_a_list_names_files_of_one_folder_alone(
    lists: DataRow, data_row: Rows, ffhq: Path, listed: str
) -> None:
    """Of FFHQ's first thousand alone the names are those that all of FFHQ has."""
    shutil.rmtree(ffhq / "01000")
    (ffhq / "public.txt").write_text(f"{listed}\n")
    given = Lists(train="train.txt", test="test.txt", public="public.txt")
    thumbnails = Source(reader="ffhq", path=str(ffhq))
    row = data_row(lists.private.path, thumbnails, identities=2, val_fraction=0.0, lists=given)
    made = prepare(row, Reader(), FfhqReader())
    assert [r.path for r in made.manifest if r.split == "public"] == ["ffhq/00000/00995.png"]


def test_a_missing_list_is_named(lists: DataRow) -> None:
    (Path(lists.private.path) / "test.txt").unlink()
    with pytest.raises(DataError, match=r"test\.txt: no such file; it lists '<file name> <label>'"):
        run(lists)


def test_the_literatures_lists_are_known_by_their_digests() -> None:
    assert kind("f4710b40b52bccb9ccadb1f8f0d32717") == "official list (celeba_trainset.txt)"
    assert kind("0" * 32) == "own list"
    assert sorted(OFFICIAL.values()) == [f"celeba_{n}set.txt" for n in ("gan", "test", "train")]
