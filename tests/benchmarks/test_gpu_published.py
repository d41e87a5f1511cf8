"""Ours beside the published procedures: which are compared, and what the rows say."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from bench.rows import KEYS
from bench.timing import Clocked
from gpu import published
from gpu.__main__ import PARTS
from gpu.results import Book
from gpu.study import World


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path, toy=True, device=torch.device("cpu"), code="x")


def fake(world: World, name: str, count: int, steps: int) -> Any:
    """Ours: 2 s for a batch; published: 3 s."""
    return SimpleNamespace(
        world=world,
        ours=lambda now: Clocked(2.0, None),
        reference=lambda now: Clocked(3.0, None),
        flops=lambda: 4e12,
    )


@pytest.mark.parametrize(
    ("name", "at_once", "steps", "batch", "saving"),
    [("gmi", 24, 100, 12, 5.0), ("kedmi", 9, 400, 6, 5.0), ("lomma_gmi", 24, 100, 12, 0.0)],
)
def test_a_search_is_compared_image_by_image(
    name: str,
    at_once: int,
    steps: int,
    batch: int,
    saving: float,
    book: Book,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All steps of a batch, over its images; the published one saves image by image."""
    monkeypatch.setattr(published, "Search", fake)
    monkeypatch.setattr(published, "_saving", lambda search, now: 5.0)
    monkeypatch.setattr(published, "rows_at_once", lambda *given: at_once)
    monkeypatch.setattr(Book, "value", lambda self, name: 1.0 if name.endswith("tf32") else None)
    world = World(book, published.TOY)
    (found,) = published._search(world, name)
    ours, reference = 2.0 * steps / at_once, (3.0 * steps + saving) / batch
    assert found["ours_s"] == pytest.approx(ours, rel=1e-3)
    assert found["reference_s"] == pytest.approx(reference, rel=1e-3)
    assert found["ratio"] == pytest.approx(reference / ours, rel=1e-3)
    assert found["limit_share"] == pytest.approx(4 / ours, rel=1e-3)  # 4 TFLOP at 1 TFLOP/s
    assert found["per"] == ("person" if name == "kedmi" else "image")


def test_without_the_rate_of_the_machine_there_is_no_limit(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "Search", fake)
    monkeypatch.setattr(published, "rows_at_once", lambda *given: 12)
    (found,) = published._search(World(book, published.TOY), "lomma_gmi")
    assert found["limit_share"] is None


@pytest.mark.slow
def test_rows_have_the_keys_of_a_benchmark(book: Book) -> None:
    measures = published.measurements(book)
    assert list(measures)[:3] == ["plgmi prior", "plgmi search", "gmi search"]
    assert {"kedmi prior", "kedmi search", "lomma_gmi search"} < set(measures)
    for name in ("kedmi search", "kedmi prior"):
        book.run("published", name, measures[name])
    found = [one for one in book.rows() if one["name"].endswith(": ratio")]
    assert len(found) == 2
    for one in found:
        assert set(KEYS) <= one.keys()
        assert one["ratio"] == pytest.approx(one["reference_s"] / one["ours_s"], rel=0.01)
        assert one["device"].startswith("cpu") and one["unit"] == "x"


def test_the_order_of_parts_is_that_of_their_value() -> None:
    """What nobody has measured on a GPU comes before what was."""
    assert list(PARTS)[:4] == ["machine", "tests", "published", "styles"]
    assert list(PARTS)[-1] == "faces"
