"""What every judge promises, one row a method; and what each of the shipped ones is."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import pytest
import torch

from toy import runtime, seeded
from trapmid import wiring
from trapmid.artifacts import judges
from trapmid.data.drawing.attributes import GROUPS
from trapmid.data.drawing.vectors import ATTRIBUTES
from trapmid.judges.verifier import contrastive_loss
from trapmid.types import Judge, Reader, Verifier

ROOT = Path(__file__).parents[2]
METHODS = {"dlib": Verifier, "portrait": Reader, "verifier": Verifier}
TRAINED = ("portrait", "verifier")
HAS_FACES = all(importlib.util.find_spec(name) for name in ("dlib", "face_recognition_models"))


def test_every_judge_has_a_row() -> None:
    assert sorted(METHODS) == wiring.names("judges")
    for name, kind in METHODS.items():
        assert issubclass(wiring.judge(name), kind)


def made(name: str) -> Judge:
    if name == "dlib" and not HAS_FACES:
        pytest.skip("the extra `faces` is not installed")
    return seeded(wiring.judge(name), 32, statistics=False).eval()


@pytest.mark.parametrize("name", METHODS)
def test_a_vector_depends_on_its_image_alone(name: str) -> None:
    judge, images = made(name), torch.rand(5, 3, 32, 32)
    before = images.clone()
    with torch.no_grad():
        together, alone = judge(images), torch.cat([judge(image[None]) for image in images])
        backwards = judge(images.flip(0)).flip(0)
    assert together.shape[0] == 5 and together.dtype == torch.float32
    assert torch.allclose(together, alone, atol=1e-5) and torch.allclose(
        together, backwards, atol=1e-5
    )
    assert torch.equal(images, before)
    assert float((together[0] - together[1]).abs().max()) > 1e-4  # it looks at the image


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("size", [16, 64])
def test_images_of_other_sizes_are_resized_inside(name: str, size: int) -> None:
    judge = made(name)
    with torch.no_grad():
        assert judge(torch.rand(2, 3, size, size)).shape == judge(torch.rand(2, 3, 32, 32)).shape


def test_embeddings_have_length_1_and_readings_are_parameters() -> None:
    images = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(made("verifier")(images).norm(dim=1), torch.ones(4), atol=1e-5)
        readings = made("portrait")(images)
    assert readings.shape == (4, len(ATTRIBUTES))
    assert readings.min() >= 0 and readings.max() <= 1


def test_groups_part_the_parameters() -> None:
    assert sorted(name for group in GROUPS.values() for name in group) == sorted(ATTRIBUTES)


def test_the_contrastive_loss_is_that_of_a_loop() -> None:
    """Khosla et al. (2020), eq. 2, at a temperature of 0.1; nobody is in denominators alone."""
    people = [0, 1, 0, 1, 0, 7, -1, -1]
    embeddings = torch.nn.functional.normalize(
        torch.randn(8, 6, generator=torch.Generator().manual_seed(0)).double(), dim=1
    )
    terms = []
    for i in range(8):
        same = [j for j in range(8) if j != i and people[j] == people[i] >= 0]
        if same:
            products = {
                j: torch.exp(embeddings[i] @ embeddings[j] / 0.1) for j in range(8) if j != i
            }
            shares = [torch.log(products[j] / sum(products.values())) for j in same]
            terms.append(-sum(shares) / len(shares))
    assert len(terms) == 5
    found = contrastive_loss(embeddings, torch.tensor(people))
    assert float(found) == pytest.approx(float(sum(terms)) / 5)


# --- the shipped weights --------------------------------------------------------------------------


@pytest.mark.parametrize("name", TRAINED)
def test_shipped_weights_are_small_whole_and_of_nobody_in_a_study(name: str) -> None:
    file = ROOT / f"weights/faces32/{name}.pt"
    assert file.stat().st_size < 2**20
    sums = dict(
        line.split()[::-1]
        for line in (file.parent / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    )
    assert sums[file.name] == hashlib.sha256(file.read_bytes()).hexdigest()
    opened = judges.open_weights(name, file, 32, runtime())
    assert opened.image_size == 32 and not opened.judge.training
    who = opened.learnt_from
    assert who is not None and who.first >= 1_000_000 and who.last > who.first


def test_the_shipped_reader_says_how_far_it_can_be_relied_on() -> None:
    opened = judges.open_weights("portrait", ROOT / "weights/faces32/portrait.pt", 32, runtime())
    assert isinstance(opened.judge, Reader)
    reliability = dict(zip(ATTRIBUTES, opened.judge.reliability.tolist(), strict=True))
    assert reliability["skin_darkness"] > 0.7  # it colours most of the picture
    assert reliability["iris_lightness"] < 0.3  # a pixel or two
    assert all(0 < one < 0.5 for one in opened.judge.deviation.tolist())
