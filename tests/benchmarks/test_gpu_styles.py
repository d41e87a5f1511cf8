"""PPA and IF-GMI on a GPU: what is repeated, what is counted, and what an hour is made of."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from gpu import styles
from gpu.results import Book
from gpu.study import World
from gpu.styles import Repeats, TorchvisionResNet152, Track

NETWORK, GENERATOR = 9.89e6, 11.2e6
"""Multiplications of the small VGG and of the small StyleGAN2 for one image of 32 pixels, counted
by hand: layer by layer, side times side times kernel times channels in and out."""


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path, toy=True, device=torch.device("cpu"), code="x")


@pytest.fixture
def toy(book: Book) -> Track:
    return Track(World(book, styles.TOY))


def test_rows_are_of_one_step_and_one_image(toy: Track) -> None:
    """A product of 4 x 5 and 5 x 6 a repeat: 120 multiplications; three seconds each."""
    left, right = torch.ones(4, 5), torch.ones(5, 6)

    def run(repeats: int) -> float:
        for _ in range(repeats):
            left @ right
        return 3.0 * repeats

    repeats = Repeats(run, images=10, whole=7200.0, what="step", steps=2)
    found = {one["name"]: one for one in repeats.rows(toy.world, "of everybody")}
    assert found["step"]["value"] == 1.5
    assert found["images"]["value"] == pytest.approx(10 / 1.5, rel=1e-5)
    assert found["work"]["value"] == pytest.approx(6e-9)
    assert found["rate"]["value"] == pytest.approx(6 * 10 / 1.5 / 1e12, rel=1e-5)
    assert found["whole attack"]["value"] == pytest.approx(7200 * 1.5 / 10 / 3600)
    assert found["whole attack"]["note"] == "of everybody, extrapolated"


@pytest.mark.slow
def test_the_work_of_every_phase_is_counted(toy: Track) -> None:
    """A slope costs as much as the pass before it; the target sees a candidate twice."""
    rt = toy.world.runtime()
    asked, _ = styles.asking(toy, rt)
    assert asked.work() == pytest.approx(GENERATOR + 2 * NETWORK, rel=0.01)
    assert styles.viewing(toy, 2, rt).work() == pytest.approx(NETWORK, rel=0.01)
    step = 2 * (GENERATOR + NETWORK)
    assert styles.searching(toy, "ppa", 2, rt).work() == pytest.approx(step, rel=0.01)
    # Of IF-GMI's nine steps five make the whole image, four begin at a later block.
    layers = styles.searching(toy, "ifgmi", 2, rt).work()
    assert 2 * NETWORK + 5 / 9 * 2 * GENERATOR < layers < step


@pytest.mark.slow
def test_a_step_at_true_size_has_the_work_that_others_counted(tmp_path: Path) -> None:
    """53 GMAC forward and backward: ResNet-152 has 11.56 at 224 pixels, the generator 15."""
    book = Book(tmp_path, toy=False, device=torch.device("cpu"), code="x")
    track = Track(World(book, styles.SMALLER))
    work = styles.searching(track, "ppa", 1, track.world.runtime()).work()
    assert work == pytest.approx(53e9, rel=0.02)


@pytest.mark.slow
def test_without_timm_torchvision_has_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Book(tmp_path, toy=False, device=torch.device("cpu"), code="x")
    track = Track(World(book, styles.SMALLER))
    monkeypatch.setattr(styles, "find_spec", lambda name: None)
    network = track.target(track.world.runtime())
    assert isinstance(network, TorchvisionResNet152)
    assert sum(p.numel() for p in network.parameters()) == 60_192_808  # as published
    logits = network(torch.rand(1, 3, 64, 64)).logits
    assert logits.shape == (1, 1000)
    assert logits.isfinite().all()


def test_a_search_begins_with_candidates_of_its_class(toy: Track) -> None:
    prior = toy.prior(pool=25, keep=3, rt=toy.world.runtime())
    assert prior.order.shape == (toy.world.sizes.classes, 3)
    task = toy.task(11, toy.world.runtime(), None)
    assert task.labels.tolist() == [*range(8), 0, 1, 2]
    assert task.draws.tolist() == [0] * 8 + [1] * 3
    codes = prior.candidates(task.labels, task.draws)
    assert len(codes.flatten(1).unique(dim=0)) > 5
