"""Tests of the procedural faces: streams, pixels, attributes and the files of a data set."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from trapmid.data import celeba, synthetic
from trapmid.data.synthetic import (
    ATTRIBUTES,
    NUISANCES,
    Maker,
    binary_attributes,
    identity_vectors,
    nuisance_vectors,
    render,
)

TINY = Maker(identities=3, images=3, others=2, other_images=2, thumbnails=2, seed=7)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small operations split over busy cores wait for each other: keep them whole."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def draw(pairs: list[tuple[int, int]], *, seed: int = 1, domain: str = "celeba") -> Tensor:
    identities = identity_vectors([identity for identity, _ in pairs], seed=seed, domain=domain)
    nuisances = nuisance_vectors(pairs, seed=seed, domain=domain)
    height, width = (218, 178) if domain == "celeba" else (128, 128)
    return render(identities, nuisances, height=height, width=width, framing=domain)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "faces"
    TINY.make(folder, lambda line: None)
    return folder


def owners(folder: Path) -> list[tuple[str, int]]:
    lines = (folder / "celeba" / "identity_CelebA.txt").read_text().splitlines()
    return [(name, int(identity)) for name, identity in (line.split() for line in lines)]


def test_names_are_unique_and_enough() -> None:
    assert len(set(ATTRIBUTES)) == len(ATTRIBUTES) >= 24
    assert len(set(NUISANCES)) == len(NUISANCES)


@pytest.mark.parametrize("domain", ["celeba", "ffhq"])
def test_vectors_are_bounded_and_their_rows_independent(domain: str) -> None:
    many = identity_vectors(range(300), seed=3, domain=domain)
    assert many.shape == (300, len(ATTRIBUTES)) and many.dtype == torch.float64
    assert many.min() >= 0 and many.max() <= 1
    assert torch.equal(identity_vectors([17, 5], seed=3, domain=domain), many[[17, 5]])
    assert not torch.equal(identity_vectors([17], seed=4, domain=domain), many[[17]])


def test_nuisances_are_uniform_and_their_rows_independent() -> None:
    pairs = [(identity, image) for identity in range(60) for image in range(60)]
    many = nuisance_vectors(pairs, seed=3, domain="celeba")
    assert many.shape == (3600, len(NUISANCES))
    assert len(torch.unique(many[:, 0])) > 3590
    assert (many.mean(0) - 0.5).abs().max() < 0.03
    assert (torch.corrcoef(many.T) - torch.eye(len(NUISANCES))).abs().max() < 0.1
    assert torch.equal(nuisance_vectors([(9, 4)], seed=3, domain="celeba")[0], many[9 * 60 + 4])


@pytest.mark.parametrize(("domain", "size"), [("celeba", (218, 178)), ("ffhq", (128, 128))])
def test_pixels_do_not_depend_on_the_batch(domain: str, size: tuple[int, int]) -> None:
    pairs = [(identity, image) for identity in range(3) for image in range(3)]
    batch = draw(pairs, domain=domain)
    assert batch.shape == (9, 3, *size) and batch.dtype == torch.float64
    assert batch.min() >= 0 and batch.max() <= 1
    assert torch.equal(draw(pairs, domain=domain), batch)
    assert torch.equal(draw([(1, 2)], domain=domain)[0], batch[5])
    assert not torch.equal(batch[0], batch[1])


DIGESTS = """
import hashlib
import torch
from trapmid.data import synthetic
torch.set_num_threads(1)
pairs = [(identity, image) for identity in range(1, 9) for image in range(2)]
for domain, size in (("celeba", (218, 178)), ("ffhq", (128, 128))):
    pixels = synthetic.draw(pairs, seed=0, domain=domain, size=size)
    print(domain, hashlib.sha256(pixels.numpy().tobytes()).hexdigest())
"""
"""Prints a digest of sixteen images of either kind: 1.9 and 0.8 million intensities."""

COMMITTED = """\
celeba d1b7db4e55f9d366d49a433d0043aa0318b26f10c2751ad30c2def7ced559ed5
ffhq 33c3cf92daa75afe9ba2491af4c00a1cb02812caa6de44619d6dd1ff527fa68d
"""


@pytest.mark.parametrize("instructions", [None, "avx2", "default"])
def test_every_processor_draws_the_same_bytes(instructions: str | None) -> None:
    """torch takes the instruction set from the environment, once, as it is imported."""
    environment = dict(os.environ)
    if instructions is not None:
        environment |= {"ATEN_CPU_CAPABILITY": instructions, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    command = [sys.executable, "-c", DIGESTS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == COMMITTED


def test_grain_is_noise_of_variance_one_and_whole_numbers_decide_it() -> None:
    grain = synthetic._grain(torch.Size((400, 500)), seed=3)
    assert abs(grain.mean()) < 0.01 and abs(grain.var() - 1) < 0.01
    assert 3 < grain.abs().max() <= 2 * 3**0.5  # four uniform numbers reach no further
    bits = torch.empty(400, 500, dtype=torch.int64)
    bits.random_(generator=torch.Generator().manual_seed(3))
    first = int(bits[0, 0])
    parts = [first >> 15 * part & 32767 for part in range(4)]
    assert grain[0, 0].item() == pytest.approx((sum(parts) - 65534) / (2**30 / 3) ** 0.5)


def test_without_thumbnails_no_folder_of_them_is_made(tmp_path: Path) -> None:
    dataclasses.replace(TINY, thumbnails=0).make(tmp_path / "faces", lambda line: None)
    assert [path.name for path in (tmp_path / "faces").iterdir()] == ["celeba"]


def test_identities_differ_more_than_their_images() -> None:
    groups = [[(identity, image) for image in range(8)] for identity in range(24)]
    crops = torch.stack([draw(group)[:, :, 55:163, 35:143] for group in groups])
    small = torch.nn.functional.interpolate(
        crops.flatten(0, 1), size=(32, 32), mode="bilinear", antialias=True
    ).reshape(24, 8, -1)
    within = small.var(dim=1).mean(dim=0)
    # The means of 8 images vary by within / 8 even if all identities were one.
    between = small.mean(dim=1).var(dim=0) - within / 8
    assert between.mean() > within.mean()
    # Identification must not be trivial either: no pixel alone tells identities apart.
    assert (between / within).max() < 12


def test_portraits_are_what_a_study_reads_but_for_the_loss_of_jpeg(tmp_path: Path) -> None:
    pairs = [(1, 0), (2, 3), (5, 1)] * 4  # more than one chunk
    found = synthetic.portraits(pairs, seed=1, size=32)
    drawn = synthetic.draw(pairs[:3], seed=1, domain="celeba", size=(218, 178))
    for image, pixels in zip(found, drawn, strict=False):
        Image.fromarray(pixels.numpy()).save(file := tmp_path / "lossless.png")
        assert torch.equal(image, celeba.Reader().load(file, 32))
    assert torch.equal(found[3:6], found[:3])
    assert found.shape == (12, 3, 32, 32)


def test_ffhq_crop_shows_celeba_view() -> None:
    identities = identity_vectors([3], seed=1)
    nuisances = nuisance_vectors([(3, 0)], seed=1, domain="celeba")
    nuisances[:, NUISANCES.index("noise")] = 0
    one = render(identities, nuisances, height=218, width=178, framing="celeba")
    two = render(identities, nuisances, height=128, width=128, framing="ffhq")
    views = [one[:, :, 55:163, 35:143], two[:, :, 20:108, 20:108]]
    small = [torch.nn.functional.interpolate(v, (22, 22), mode="area") for v in views]
    assert (small[0] - small[1]).abs().mean() < 0.02


def test_ffhq_distribution_is_shifted() -> None:
    celeba = identity_vectors(range(2000), seed=1, domain="celeba")
    ffhq = identity_vectors(range(2000), seed=1, domain="ffhq")
    shift = dict(zip(ATTRIBUTES, (ffhq.mean(0) - celeba.mean(0)).tolist(), strict=True))
    assert shift["age"] > 0.08 and shift["glasses"] > 0.08 and shift["hair_lightness"] > 0.05
    assert shift["skin_darkness"] < -0.05 and shift["lip_colour"] < -0.05
    assert abs(shift["nose_width"]) < 0.05


def test_binary_attributes_follow_the_vectors() -> None:
    vectors = identity_vectors(range(1000), seed=1)
    marks = binary_attributes(vectors)
    assert len(marks) >= 12 and list(marks) == sorted(marks)
    for name, mark in marks.items():
        assert mark.shape == (1000,) and set(mark.tolist()) == {-1, 1}, name
    colours = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair", "Bald")
    assert (torch.stack([marks[name] for name in colours]) == 1).sum(0).max() <= 1
    assert not ((marks["Goatee"] == 1) & (marks["No_Beard"] == 1)).any()
    vectors[:, ATTRIBUTES.index("glasses")] = 1.0
    assert (binary_attributes(vectors)["Eyeglasses"] == 1).all()


def test_glasses_and_beard_are_drawn() -> None:
    identity = identity_vectors([2], seed=1).repeat(3, 1)
    identity[:, ATTRIBUTES.index("glasses")] = torch.tensor([0.1, 0.9, 0.1])
    identity[:, ATTRIBUTES.index("facial_hair")] = torch.tensor([0.1, 0.1, 0.9])
    nuisances = nuisance_vectors([(2, 0)] * 3, seed=1, domain="celeba")
    plain, glasses, beard = render(identity, nuisances, height=218, width=178, framing="celeba")
    assert (plain - glasses).abs()[:, 95:130, 60:120].mean() > 0.02
    assert torch.equal(plain[:, :60], glasses[:, :60])
    assert (plain - beard).abs()[:, 135:170, 70:110].mean() > 0.02


def test_bad_arguments_raise() -> None:
    identities = identity_vectors([1], seed=1)
    nuisances = nuisance_vectors([(1, 0)], seed=1, domain="celeba")
    with pytest.raises(ValueError, match="framing"):
        render(identities, nuisances, height=64, width=64, framing="lfw")
    with pytest.raises(ValueError, match="shapes"):
        render(identities, nuisances[:, 1:], height=64, width=64, framing="ffhq")
    with pytest.raises(ValueError, match="domain"):
        identity_vectors([1], seed=1, domain="lfw")
    with pytest.raises(ValueError, match="domain"):
        nuisance_vectors([(1, 0)], seed=1, domain="lfw")


@pytest.mark.parametrize(
    ("field", "value"),
    [("identities", 0), ("images", 0), ("other_images", 3), ("others", -1), ("seed", 1.5)],
)
def test_maker_rejects_bad_fields(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(TINY, **{field: value})  # type: ignore[arg-type]


def test_celeba_layout(made: Path) -> None:
    folder = made / "celeba"
    names = [f"{number:06d}.jpg" for number in range(1, 14)]
    assert sorted(path.name for path in (folder / "img_align_celeba").iterdir()) == names
    assert [name for name, _ in owners(made)] == names
    assert [identity for _, identity in owners(made)] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5]
    for name in names:
        with Image.open(folder / "img_align_celeba" / name) as image:
            assert image.size == (178, 218) and image.mode == "RGB" and image.format == "JPEG"


def test_attribute_files_agree(made: Path) -> None:
    folder = made / "celeba"
    count, header, *rows = (folder / "list_attr_celeba.txt").read_text().splitlines()
    truth = (folder / "identity_vectors.csv").read_text().splitlines()
    assert int(count) == len(rows) == 13
    assert truth[0].split(",") == ["identity", *ATTRIBUTES]
    vectors = {int(line.split(",")[0]): line.split(",")[1:] for line in truth[1:]}
    assert sorted(vectors) == [1, 2, 3, 4, 5]
    for row, (name, identity) in zip(rows, owners(made), strict=True):
        vector = torch.tensor([[float(x) for x in vectors[identity]]], dtype=torch.float64)
        assert torch.allclose(vector, identity_vectors([identity], seed=7), atol=1e-6)
        marks = binary_attributes(vector)
        assert header.split() == list(marks)
        assert row.split() == [name, *(str(mark.item()) for mark in marks.values())]


def test_ffhq_layout(made: Path) -> None:
    assert [path.name for path in sorted((made / "ffhq").glob("*/*"))] == ["00000.png", "00001.png"]
    with Image.open(made / "ffhq" / "00000" / "00001.png") as image:
        assert image.size == (128, 128) and image.mode == "RGB" and image.format == "PNG"
    lines = (made / "ffhq" / "identity_vectors.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["identity", "0", "1"]


def test_growing_keeps_the_bytes_of_every_image(made: Path, tmp_path: Path) -> None:
    bigger = dataclasses.replace(TINY, identities=4, images=4, other_images=3, thumbnails=3)
    bigger.make(tmp_path / "bigger", lambda line: None)

    def images(folder: Path) -> dict[tuple[int, int], bytes]:
        seen: dict[int, int] = {}
        found: dict[tuple[int, int], bytes] = {}
        for name, identity in owners(folder):
            number = seen[identity] = seen.get(identity, -1) + 1
            path = folder / "celeba" / "img_align_celeba" / name
            found[identity, number] = path.read_bytes()
        return found

    before, after = images(made), images(tmp_path / "bigger")
    assert len(after) == 4 * 4 + 2 * 3
    assert all(after[pair] == content for pair, content in before.items())
    first = "ffhq/00000/00001.png"
    assert (made / first).read_bytes() == (tmp_path / "bigger" / first).read_bytes()


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save, calls = synthetic._save, []

    def failing(pixels: Tensor, path: Path, quality: int) -> None:
        calls.append(path)
        if len(calls) >= 9:
            raise OSError("disk full")
        save(pixels, path, quality)

    monkeypatch.setattr(synthetic, "_save", failing)
    with pytest.raises(OSError, match="disk full"):
        TINY.make(tmp_path / "faces", lambda line: None)
    assert list(tmp_path.iterdir()) == []


def test_a_full_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("kept")
    with pytest.raises(FileExistsError):
        TINY.make(tmp_path, lambda line: None)
    assert (tmp_path / "kept.txt").read_text() == "kept"
