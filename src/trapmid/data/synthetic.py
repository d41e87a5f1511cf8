"""Synthetic data sets: folders of drawn faces in the layouts of CelebA and FFHQ."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from trapmid.data.drawing.attributes import binary_attributes
from trapmid.data.drawing.images import CELEBA_SIZE, draw_all
from trapmid.data.drawing.vectors import ATTRIBUTES, identity_vectors

_FFHQ_SIZE = (128, 128)


def _write_vectors(path: Path, ids: Sequence[int], vectors: Tensor) -> None:
    """Write the ground truth: a header, then an identity's number and its attributes a line."""
    lines = [",".join(("identity", *ATTRIBUTES))]
    lines += [
        ",".join((str(number), *(f"{value:.6f}" for value in row)))
        for number, row in zip(ids, vectors.tolist(), strict=True)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes a CelebA-like and an FFHQ-like folder of synthetic faces.

    Identities 1..`identities` have `images` images each, the next `others` have `other_images`
    each. The pixels of an (identity, image) pair depend on the seed and the pair only, so growing
    any field keeps the images there were; their file names may shift.

    Raises:
        ValueError: on construction, if a count is not positive or `other_images` >= `images`.
    """

    identities: int
    images: int
    others: int
    other_images: int
    thumbnails: int
    seed: int

    def __post_init__(self) -> None:
        """Check every field; the class says what is refused."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"{field.name} must be an integer, got {value!r}")
            least = 1 if field.name in ("identities", "images", "other_images") else 0
            if value < least:
                raise ValueError(f"{field.name} must be at least {least}, got {value}")
        if self.other_images >= self.images:
            raise ValueError(
                f"other_images must be below images ({self.images}), got {self.other_images}"
            )

    def make(self, folder: Path, log: Callable[[str], None]) -> None:
        """Write `folder`/celeba and, if there are thumbnails, `folder`/ffhq, all or nothing.

        Args:
            folder: where to write; it must not exist or be empty.
            log: called with a line per finished part.

        Raises:
            FileExistsError: if `folder` exists and is not empty.
        """
        if folder.exists() and any(folder.iterdir()):
            raise FileExistsError(f"{folder} exists and is not empty")
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            self._make_celeba(building / "celeba", log)
            if self.thumbnails:
                self._make_ffhq(building / "ffhq", log)
            building.chmod(0o755)  # mkdtemp's folders are closed to other users
            os.replace(building, folder)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise

    def _pairs(self) -> list[tuple[int, int]]:
        """Every (identity, image) pair of the CelebA-like part, in file order."""
        many = range(1, self.identities + 1)
        few = range(self.identities + 1, self.identities + self.others + 1)
        pairs = [(identity, image) for identity in many for image in range(self.images)]
        pairs += [(identity, image) for identity in few for image in range(self.other_images)]
        return pairs

    def _make_celeba(self, folder: Path, log: Callable[[str], None]) -> None:
        pairs = self._pairs()
        names = [f"{number:06d}.jpg" for number in range(1, len(pairs) + 1)]
        images = folder / "img_align_celeba"
        images.mkdir(parents=True)
        ids = range(1, self.identities + self.others + 1)
        vectors = identity_vectors(ids, seed=self.seed, domain="celeba")
        self._write_labels(folder, pairs, names, vectors)
        _write_vectors(folder / "identity_vectors.csv", ids, vectors)
        paths = [images / name for name in names]
        draw_all(pairs, paths, seed=self.seed, domain="celeba", size=CELEBA_SIZE)
        log(f"drew {len(pairs)} CelebA-like images of {len(ids)} identities")

    def _write_labels(
        self,
        folder: Path,
        pairs: Sequence[tuple[int, int]],
        names: Sequence[str],
        vectors: Tensor,
    ) -> None:
        """Write the owners' and the attributes' files; row i of `vectors` is identity i + 1."""
        owners = [f"{name} {identity}" for name, (identity, _) in zip(names, pairs, strict=True)]
        (folder / "identity_CelebA.txt").write_text("\n".join(owners) + "\n", encoding="utf-8")
        marks = binary_attributes(vectors)
        table = torch.stack(list(marks.values()), dim=1).tolist()
        rows = [" ".join(f"{mark:2d}" for mark in row) for row in table]
        lines = [str(len(names)), " ".join(marks)]
        lines += [f"{name} {rows[i - 1]}" for name, (i, _) in zip(names, pairs, strict=True)]
        (folder / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _make_ffhq(self, folder: Path, log: Callable[[str], None]) -> None:
        numbers = range(self.thumbnails)
        folder.mkdir(parents=True)
        for start in range(0, self.thumbnails, 1000):
            (folder / f"{start:05d}").mkdir()
        vectors = identity_vectors(numbers, seed=self.seed, domain="ffhq")
        _write_vectors(folder / "identity_vectors.csv", numbers, vectors)
        paths = [folder / f"{n // 1000 * 1000:05d}" / f"{n:05d}.png" for n in numbers]
        pairs = [(number, 0) for number in numbers]
        draw_all(pairs, paths, seed=self.seed, domain="ffhq", size=_FFHQ_SIZE)
        log(f"drew {self.thumbnails} FFHQ-like thumbnails")
