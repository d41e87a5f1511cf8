"""What an artefact was made from, and what does not belong together."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from toy import private
from trapmid.artifacts import checkpoints, lineage
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.artifacts.lineage import Lineage, Traced

A, B, C = Path("a.pt"), Path("b.pt"), Path("c.pt")


def test_a_digest_is_of_type_shape_and_content() -> None:
    image = torch.arange(12, dtype=torch.uint8)
    digests = {
        lineage.digest(one)
        for one in (image, image.reshape(3, 4), image.flip(0), image.to(torch.int8), image[::2])
    }
    assert len(digests) == 5
    transposed = image.reshape(3, 4).T
    assert lineage.digest(transposed) == lineage.digest(transposed.contiguous())


def test_a_digest_of_a_folder_is_of_names_and_contents(tmp_path: Path) -> None:
    def made(name: str, files: dict[str, bytes]) -> str:
        (tmp_path / name).mkdir()
        for file, content in files.items():
            (tmp_path / name / file).write_bytes(content)
        return lineage.file_digest(tmp_path / name)

    files = {f"{n}.pt": bytes([n]) for n in (3, 1, 4, 2, 0)}
    lines = [f"{n}.pt {hashlib.sha256(bytes([n])).hexdigest()}\n" for n in range(5)]
    wanted = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert made("one", files) == made("other", dict(reversed(files.items()))) == wanted
    assert made("renamed", {file.replace("4", "5"): c for file, c in files.items()}) != wanted
    assert made("changed", files | {"2.pt": b"9"}) != wanted


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_people_are_images_labels_and_splits(name: str) -> None:
    content = private(3)
    people = lineage.people_of(content)
    assert people == lineage.people_of(dict(reversed(content.items())))
    images, labels = content[f"{name}_images"], content[f"{name}_labels"]
    darker, swapped = images.clone(), labels.roll(1)
    darker[0, 0, 0, 0] ^= 1
    assert lineage.people_of(content | {f"{name}_images": darker}) != people
    assert lineage.people_of(content | {f"{name}_labels": swapped}) != people
    part = ("test" if name != "test" else "val", name)
    exchanged = {
        f"{part[i]}_{kind}": content[f"{part[1 - i]}_{kind}"]
        for i in range(2)
        for kind in ("images", "labels")
    }
    assert lineage.people_of(content | exchanged) != people


def test_public_images_say_from_whom_they_were_parted(tmp_path: Path) -> None:
    path, images = tmp_path / "public.pt", torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    checkpoints.save(path, lineage.public_content(images, private(3)))
    found = lineage.load_public(path)
    assert found.people == lineage.people_of(private(3)) and torch.equal(found.images, images)
    checkpoints.save(path, {"images": images})
    with pytest.raises(CheckpointError, match=r"public\.pt: no 'people'; `dvc repro` renews it"):
        lineage.load_public(path)


def test_a_lineage_comes_back() -> None:
    made = Lineage(people="p", target="t", sources={"prior": "0a"})
    assert Lineage.read(A, {"lineage": made.to_content()}) == made
    for content in ({}, {"lineage": None}, {"lineage": {"people": "p"}}, {"lineage": {"x": 1}}):
        with pytest.raises(CheckpointError, match=r"a\.pt: does not say what it was made from"):
            Lineage.read(A, content)


def test_files_of_one_attack_belong_together() -> None:
    lineage.check_together(
        Traced(A, "p", "t"), Traced(B, "p", "t"), Traced(C, "p", None)
    )  # None: learnt from no target
    lineage.check_together(Traced(A, "p", None), Traced(B, "p", "t"), Traced(C, "p", "u"))
    with pytest.raises(CheckpointError, match=r"c\.pt: belongs to other private people than a\.pt"):
        lineage.check_together(Traced(A, "p", "t"), Traced(B, "p", None), Traced(C, "q", "t"))
    with pytest.raises(CheckpointError, match=r"b\.pt: belongs to another target than a\.pt"):
        lineage.check_together(Traced(A, "p", "t"), Traced(B, "p", "u"), Traced(C, "p", "t"))


def test_what_was_made_from_other_files_is_refused(tmp_path: Path) -> None:
    file, made = tmp_path / "prior.pt", tmp_path / "made.pt"
    file.write_bytes(b"one")
    origin = Lineage(people="p", target="t", sources={"prior": lineage.file_digest(file)})
    checkpoints.save(made, {"x": 1, "lineage": origin.to_content()})
    assert lineage.load_made_from(made, Traced(A, "p", "t"), {"prior": file})["x"] == 1
    for target in (Traced(A, "q", "t"), Traced(A, "p", "u")):
        with pytest.raises(CheckpointError, match=r"made\.pt: belongs to (other|another)"):
            lineage.load_made_from(made, target, {"prior": file})
    with pytest.raises(CheckpointError, match=r"made\.pt: made from another queried_model than"):
        lineage.load_made_from(made, Traced(A, "p", "t"), {"queried_model": file})
    file.write_bytes(b"two")
    with pytest.raises(
        CheckpointError, match=r"made\.pt: made from another prior than .*prior\.pt"
    ):
        lineage.load_made_from(made, Traced(A, "p", "t"), {"prior": file})
