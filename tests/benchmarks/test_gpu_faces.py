"""The people that travel to a GPU's machine: what is lost, and that Git never sees them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch
from gpu import faces, toy_faces
from gpu.results import PREPARED, ROOT
from PIL import Image

from trapmid.config.study import DataRow, Source


def some(count: int = 3, size: int = 16) -> faces.Faces:
    """Smooth pictures, which JPEG keeps nearly as they are."""
    ramp = torch.linspace(40, 200, size).expand(3, size, size)
    images = torch.stack([ramp + 5 * i for i in range(4 * count)]).round().to(torch.uint8)
    labels = torch.arange(count)
    people = torch.arange(2 * count) + 1000
    return faces.Faces(
        images[:count], labels, images[count : 2 * count], labels, images[2 * count :], people
    )


def test_what_was_packed_comes_back_in_its_order(tmp_path: Path) -> None:
    packed = some()
    quality = faces.pack(packed, tmp_path / "faces.pt")
    back = faces.unpack(tmp_path / "faces.pt")
    assert quality == max(faces.QUALITIES)
    for name in ("train_labels", "test_labels", "people"):
        assert torch.equal(getattr(back, name), getattr(packed, name))
    for name in ("train_images", "test_images", "public"):
        before, after = getattr(packed, name), getattr(back, name)
        assert after.dtype == torch.uint8
        # Neighbours in the order are 5 grey levels apart: two at most is the same picture.
        assert (before.int() - after.int()).abs().max() <= 2
    assert (back.size, back.classes) == (16, 3)


def test_quality_falls_until_it_fits(tmp_path: Path) -> None:
    noise = some()._replace(
        public=torch.randint(
            256, (6, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
        )
    )
    file = tmp_path / "faces.pt"
    faces.pack(noise, file)
    whole = file.stat().st_size
    assert faces.pack(noise, file, whole - 1) < max(faces.QUALITIES)
    assert file.stat().st_size < whole
    with pytest.raises(ValueError, match=r"faces\.pt: needs more than 10 bytes at quality 75"):
        faces.pack(noise, file, 10)
    assert not file.exists()


def test_nothing_packed_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.pt: not there; on_gpu\.sh --prepare"):
        faces.unpack(tmp_path / "none.pt")


@pytest.mark.parametrize("file", [faces.FILE, PREPARED / "parts/x/faces/gmi-none.pt"])
def test_git_ignores_the_people_and_what_is_made_of_them(file: Path) -> None:
    place = str(file.relative_to(ROOT))
    ignored = subprocess.run(["git", "check-ignore", "--no-index", "-q", place], cwd=ROOT)
    assert ignored.returncode == 0
    tracked = subprocess.run(
        ["git", "ls-files", "build"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert tracked.stdout == ""


def test_faces_of_a_folder_are_packed(tmp_path: Path) -> None:
    """Grey levels in CelebA's layout: two private people of four images, three public ones.

    A picture's own place is a little blue: copies of one picture would be trained on together.
    """
    folder = tmp_path / "celeba/img_align_celeba"
    folder.mkdir(parents=True)
    shown = [2, 2, 2, 2, 5, 5, 5, 5, 7, 8, 9]
    for number, person in enumerate(shown):
        colour = (25 * person, 25 * person, 25 * person + number % 4)
        Image.new("RGB", (178, 218), colour).save(folder / f"{number:06}.png")
    lines = "".join(f"{number:06}.png {person}\n" for number, person in enumerate(shown))
    (tmp_path / "celeba/identity_CelebA.txt").write_text(lines, encoding="utf-8")
    source = Source(reader="celeba", path="nowhere")
    row = DataRow(
        private=source,
        public=source,
        image_size=16,
        identities=2,
        min_images=4,
        test_fraction=0.25,
        val_fraction=0.0,
        public_images=None,
        public_max_images=3,
        public_above=None,
        seed=0,
    )
    faces.pack(faces.read(tmp_path / "celeba", row), tmp_path / "faces.pt")
    back = faces.unpack(tmp_path / "faces.pt")
    assert back.train_labels.tolist() == [0, 0, 0, 1, 1, 1] and back.test_labels.tolist() == [0, 1]
    assert back.people.tolist() == [7, 8, 9]
    for images, people in ((back.test_images, [2, 5]), (back.public, [7, 8, 9])):
        expected = 25 * torch.tensor(people)[:, None, None, None]
        assert (images.int() - expected).abs().max() <= 5


def test_toy_people_differ(tmp_path: Path) -> None:
    toy_faces.write(tmp_path / "faces.pt")
    toy = faces.unpack(tmp_path / "faces.pt")
    means = torch.stack([toy.train_images[toy.train_labels == p].float().mean(0) for p in range(4)])
    nearest = torch.cdist(toy.test_images.float().flatten(1), means.flatten(1)).argmin(dim=1)
    assert torch.equal(nearest, toy.test_labels)
    assert set(toy.people.tolist()).isdisjoint({-1}) and len(toy.public) == len(toy.people)
