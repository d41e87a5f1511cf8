"""Whose images are whose, against a manifest written by hand."""

from __future__ import annotations

from trapmid.data import manifest_people
from trapmid.types import Person


def row(split: str, path: str, identity: str, label: str = "") -> dict[str, str]:
    return {"split": split, "path": path, "identity": identity, "label": label}


MANIFEST = [
    row("train", "celeba/1.jpg", "celeba:9", "0"),
    row("train", "celeba/2.jpg", "celeba:9", "0"),
    row("train", "celeba/3.jpg", "celeba:12", "1"),
    row("val", "celeba/4.jpg", "celeba:9", "0"),
    row("test", "celeba/5.jpg", "celeba:12", "1"),
    row("public", "celeba/6.jpg", "celeba:40"),
    row("public", "ffhq/7.png", ""),
    row("public", "celeba/8.jpg", "celeba:40"),
    row("public", "ffhq/9.png", ""),
    row("public", "other/10.jpg", "other:12"),
]


def test_private_people_have_their_training_images() -> None:
    assert manifest_people.private(MANIFEST) == [
        Person(9, ("celeba/1.jpg", "celeba/2.jpg"), (0, 1)),
        Person(12, ("celeba/3.jpg",), (2,)),
    ]


def test_readers_that_number_alike_know_the_same_people() -> None:
    """Folders of names, and LFW's, which are names, too."""
    rows = [row("train", "people/1.jpg", "people:7", "0"), row("public", "lfw/2.jpg", "lfw:9")]
    assert [person.identity for person in manifest_people.public(rows)] == [9]


def test_public_people_are_known_by_numbers_of_the_private_source_alone() -> None:
    """Who has no number is alone; number 12 of another source is not the private person 12."""
    assert manifest_people.public(MANIFEST) == [
        Person(40, ("celeba/6.jpg", "celeba/8.jpg"), (0, 2)),
        Person(None, ("ffhq/7.png",), (1,)),
        Person(None, ("ffhq/9.png",), (3,)),
        Person(None, ("other/10.jpg",), (4,)),
    ]
