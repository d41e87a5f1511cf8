"""What every judge promises, one row a method; and what each of the shipped ones is."""

from __future__ import annotations

import hashlib
import importlib.util
import math
from pathlib import Path

import pytest
import torch

from toy import runtime, seeded
from trapmid import wiring
from trapmid.artifacts import judges
from trapmid.data.drawing.attributes import GROUPS
from trapmid.data.drawing.vectors import ATTRIBUTES
from trapmid.judges import attributes, portrait
from trapmid.judges.verifier import contrastive_loss
from trapmid.metrics import knn
from trapmid.types import FaceBatch, Judge, Person, Reader, Verifier

ROOT = Path(__file__).parents[2]
METHODS = {
    "attributes": Reader,
    "dlib": Verifier,
    "facenet": Verifier,
    "portrait": Reader,
    "verifier": Verifier,
}
LARGE = ("dlib", "facenet")
TRAINED = ("portrait", "verifier")
PUBLISHED = (  # line 2 of CelebA's list_attr_celeba.txt
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose "
    "Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee "
    "Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard "
    "Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair "
    "Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young"
)
HAS_FACES = all(importlib.util.find_spec(name) for name in ("dlib", "face_recognition_models"))


def test_every_judge_has_a_row() -> None:
    assert sorted(METHODS) == wiring.names("judges")
    for name, kind in METHODS.items():
        assert issubclass(wiring.judge(name), kind)


def made(name: str) -> Judge:
    if name == "dlib" and not HAS_FACES:
        pytest.skip("the extra `faces` is not installed")
    return seeded(wiring.judge(name), 32, statistics=False).eval()


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in LARGE else ()) for n in METHODS]
)
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
        for name in ("verifier", "facenet"):
            lengths = made(name)(images).norm(dim=1)
            assert torch.allclose(lengths, torch.ones(4), atol=1e-5), name
        readings = made("portrait")(images)
    assert readings.shape == (4, len(ATTRIBUTES))
    assert readings.min() >= 0 and readings.max() <= 1


@pytest.mark.slow
def test_facenet_s_distance_of_an_image_from_itself_is_0_and_no_more_than_4() -> None:
    images, labels = torch.rand(3, 3, 224, 224), torch.arange(3)
    with torch.no_grad():
        found = made("facenet")(images)
    own = knn.nearest_image(found, labels, found, labels)
    others = knn.nearest_image(found, labels, found.roll(1, 0), labels)
    assert own.tolist() == [0.0] * 3 and 0 < others.min() <= others.max() <= 4


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


def test_a_verifier_s_loss_is_contrastive_and_a_portrait_s_is_squared() -> None:
    people = torch.tensor([0, 0, 1, 1, -1])
    vectors = torch.rand(5, 41, generator=torch.Generator().manual_seed(0))
    batch = FaceBatch(torch.rand(5, 3, 32, 32), people, vectors[:4] / 2)
    assert torch.equal(
        made("verifier").loss(vectors, batch),  # type: ignore[operator]
        contrastive_loss(vectors, people),
    )
    squares = sum(float((value / 2) ** 2) for value in vectors[:4].flatten())
    loss = made("portrait").loss(vectors, batch)  # type: ignore[operator]
    assert float(loss) == pytest.approx(12 * squares / (4 * 41), rel=1e-5)


# --- CelebA's attributes --------------------------------------------------------------------------


def test_the_attributes_are_celeba_s() -> None:
    assert tuple(PUBLISHED.split()) == attributes.NAMES and len(attributes.NAMES) == 40
    grouped = [name for group in attributes.GROUPS.values() for name in group]
    assert sorted(grouped) == sorted(attributes.NAMES)


def test_the_loss_of_attributes_is_their_cross_entropy() -> None:
    """A reading of 0.25 where the share is 1, and where it is 0; nobody is left out."""
    readings = torch.full((3, 40), 0.25)
    shares = torch.tensor([[1.0], [0.0]]).expand(2, 40)
    batch = FaceBatch(torch.zeros(3, 3, 32, 32), torch.tensor([0, 1, -1]), shares)
    loss = made("attributes").loss(readings, batch)  # type: ignore[operator]
    assert float(loss) == pytest.approx(-(math.log(0.25) + math.log(0.75)) / 2)


def person(*files: str) -> Person:
    return Person(1, files, tuple(range(len(files))))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "list_attr_celeba.txt"
    lines = ["3", "Smiling Male", "1.jpg 1 1", "2.jpg -1 1", "3.jpg -1 -1"]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_a_person_has_the_share_of_the_images_with_a_mark(table: Path) -> None:
    people = [person("celeba/img/1.jpg", "celeba/img/2.png"), person("celeba/img/3.jpg")]
    found = attributes.Judge.truth(table, people)
    assert found.shape == (2, 40)
    smiling, male = (attributes.NAMES.index(name) for name in ("Smiling", "Male"))
    assert found[:, smiling].tolist() == [0.5, 0] and found[:, male].tolist() == [1, 0]
    assert float(found.sum()) == 1.5  # what the table does not have nobody has


def test_an_image_or_an_attribute_that_is_unknown_is_named(table: Path) -> None:
    with pytest.raises(ValueError, match=rf"^{table}: has no image 4$"):
        attributes.Judge.truth(table, [person("celeba/img/4.jpg")])
    table.write_text(table.read_text(encoding="utf-8").replace("Male", "Tall"), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"^{table}: Tall is none of CelebA's attributes$"):
        attributes.Judge.truth(table, [person("celeba/img/1.jpg")])


def test_what_cannot_be_read_is_left_out() -> None:
    judge = made("attributes")
    assert isinstance(judge, attributes.Judge) and not judge.votes
    judge.reliability.zero_()
    judge.reliability[[attributes.NAMES.index(name) for name in ("Bald", "Smiling")]] = 0.5
    assert list(judge.groups) == ["hair length", "mouth"]
    vectors = torch.zeros(2, 40)
    vectors[1, attributes.NAMES.index("Bald")] = 0.75
    marks = {name: found.tolist() for name, found in judge.marks(vectors).items()}
    assert marks == {"Bald": [False, True], "Smiling": [False, False]}


def test_a_portrait_needs_the_number_of_everybody(tmp_path: Path) -> None:
    nobody = Person(None, ("ffhq/00000/00001.png",), (0,))
    with pytest.raises(
        ValueError, match=r"t\.csv: has no ffhq/00000/00001\.png, of whom no number"
    ):
        portrait.Judge.truth(tmp_path / "t.csv", [nobody])


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
