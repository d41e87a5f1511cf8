"""Tiny folders in the layouts of the real data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from data_rows import TINY

from smooth import picture
from trapmid.config.study import DataRow, Source, Validation
from trapmid.data.celeba import Reader
from trapmid.data.prepare import Prepared, prepare, to_csv
from trapmid.data.tables import read_manifest


def write_celeba(root: Path, counts: Mapping[int, int]) -> Path:
    """A CelebA folder with `counts[identity]` images per identity."""
    folder = root / "img_align_celeba"
    folder.mkdir(parents=True)
    lines = []
    for identity, count in counts.items():
        for _ in range(count):
            name = f"{len(lines) + 1:06d}.jpg"
            picture(178, 218, len(lines)).save(folder / name)
            lines.append(f"{name} {identity}")
    (root / "identity_CelebA.txt").write_text("\n".join(lines) + "\n")
    return root


def write_ffhq(root: Path, count: int) -> Path:
    """An FFHQ folder with the thumbnails 995, 996, ..., so that two folders are in use."""
    for number in range(995, 995 + count):
        folder = root / f"{number // 1000 * 1000:05d}"
        folder.mkdir(parents=True, exist_ok=True)
        picture(128, 128, 10_000 + number).save(folder / f"{number:05d}.png")
    return root


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Small operations split over busy cores wait for each other: keep them whole."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def celeba(tmp_path: Path) -> Path:
    """Four identities with 5, 6, 7 and 5 images, and two (2 and 9) with 3."""
    return write_celeba(tmp_path / "celeba", {2: 3, 4: 5, 7: 6, 5: 7, 8: 5, 9: 3})


@pytest.fixture
def ffhq(tmp_path: Path) -> Path:
    return write_ffhq(tmp_path / "ffhq", 8)


@pytest.fixture
def data_row() -> Callable[..., DataRow]:
    """Makes a DataRow; a path stands for a CelebA folder, keywords replace fields."""

    def side(where: Path | str | Source) -> Source:
        return where if isinstance(where, Source) else Source(reader="celeba", path=str(where))

    def make(
        private: Path | str | Source = "a", public: Path | str | Source = "a", **changes: Any
    ) -> DataRow:
        sides = {"private": side(private), "public": side(public)}
        return DataRow(**{**TINY, **sides, **changes})

    return make


@pytest.fixture
def bounds() -> Validation:
    return Validation(
        images_per_class=(5, 7),
        public_images=(1, 100),
        pixel_mean=(0.05, 0.95),
        pixel_std=(0.01, 0.5),
        max_dark_share=0.0,
    )


@pytest.fixture
def row(data_row: Callable[..., DataRow], celeba: Path) -> DataRow:
    return data_row(celeba, celeba)


@pytest.fixture
def prepared(row: DataRow) -> Prepared:
    return prepare(row, Reader(), Reader())


@pytest.fixture
def manifest(prepared: Prepared) -> pd.DataFrame:
    return read_manifest(to_csv(prepared.manifest))
